//! How a listing is answered: which table is walked, in one SQL statement.
//!
//! Measured at 1,000,000 calls (benches/ledger.rs, figures in docs/ledger.md): to look at the parties of a call costs
//! about 3 µs, and the jump to a party's calls is of that order. So whichever is few leads:
//!
//! 1. *By time*, when the time range holds at most [`FEW_CALLS`]: walk it and look at each call's parties.
//! 2. *By party*, when at most [`FEW_PARTIES`] match the text: find them (by the trigram index, or by reading the
//!    dictionary when the text is too short for that), and take each one's range of `party_calls`.
//!    Their calls must be sorted; of more than [`SORTED_CALLS`], one stretch of time is looked up after the other, so that the
//!    first is there before the last is found.
//! 3. *By time* all the same, when both are many: a text that common is in a good part of the calls, and walking in
//!    order prints the first at once, where the other way would sort them all before it prints one.

use super::party::Needle;
use super::query::Filter;
use crate::call::record::State;
use crate::time::CaptureTime;
use rusqlite::{Connection, Result, named_params};

/// A time range of so many calls is walked: 5,000 × 3 µs = 15 ms.
const FEW_CALLS: i64 = 5_000;
/// So many parties are jumped to: 10,000 × 3 µs = 30 ms.
const FEW_PARTIES: usize = 10_000;

/// So many calls of the parties that lead are sorted at once: 50 ms.
const SORTED_CALLS: i64 = 20_000;
/// So many are counted, 30 ms; with more, the range of time is cut into so many stretches.
const COUNTED_CALLS: i64 = 200_000;
const MOST_STRETCHES: i64 = 64;

/// What a statement is bound to.
#[derive(Debug)]
pub(super) struct Plan {
    /// Selects `call_no` in order of start.
    pub(super) sql: String,
    /// From here …
    pub(super) since_us: i64,
    /// … and before this.
    pub(super) until_us: i64,
    /// The text of `--party`.
    pub(super) needle: Option<Needle>,
    /// The parties that match it, as a JSON list of `party_no`, when these lead.
    parties: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Way {
    Time,
    TimeAndParty,
    Party,
}

impl Plan {
    /// Chooses; this asks the ledger how many calls and parties there are to go through.
    pub(super) fn choose(db: &Connection, filter: &Filter) -> Result<Self> {
        let mut plan = Self {
            sql: String::new(),
            // The ledger keeps microseconds: an instant within one is after its start, so it rounds up.
            since_us: filter.since.map_or(i64::MIN, ceil_us),
            until_us: filter.until.map_or(i64::MAX, ceil_us),
            needle: filter.party.as_deref().and_then(Needle::new),
            parties: None,
        };
        plan.parties = plan.leading_parties(db)?;
        plan.sql = sql(&plan.way(), filter);
        Ok(plan)
    }

    fn way(&self) -> Way {
        match (&self.needle, &self.parties) {
            (None, _) => Way::Time,
            (Some(_), None) => Way::TimeAndParty,
            (Some(_), Some(_)) => Way::Party,
        }
    }

    /// The parties that match, if there are few of them, and many calls in the time range.
    fn leading_parties(&self, db: &Connection) -> Result<Option<String>> {
        let Some(needle) = &self.needle else {
            return Ok(None);
        };
        let calls: i64 = db
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM calls
                 WHERE order_at_us >= ?1 AND order_at_us < ?2 LIMIT ?3)",
            )?
            .query_row([self.since_us, self.until_us, FEW_CALLS + 1], |r| r.get(0))?;
        if calls <= FEW_CALLS {
            return Ok(None);
        }
        // Both find the first matches without looking at all, so that the limit makes a common text cheap.
        let (sql, text) = match needle.trigrams() {
            Some(trigrams) => ("SELECT rowid FROM party_text WHERE party_text MATCH ?1 LIMIT ?2", trigrams),
            None => {
                ("SELECT party_no FROM parties WHERE instr(search_text, ?1) LIMIT ?2", needle.text.clone())
            }
        };
        let mut parties = db.prepare_cached(sql)?;
        let parties: Vec<String> = parties
            .query_map((text, FEW_PARTIES as i64 + 1), |r| Ok(r.get::<_, i64>(0)?.to_string()))?
            .collect::<Result<_>>()?;
        Ok((parties.len() <= FEW_PARTIES).then(|| format!("[{}]", parties.join(","))))
    }

    /// Runs the statement and hands over each call's row number, in order, while `each` answers true.
    pub(super) fn run(
        &self,
        db: &Connection,
        mut each: impl FnMut(i64) -> std::result::Result<bool, rusqlite::Error>,
    ) -> Result<()> {
        for (since, until) in self.stretches(db)? {
            if !self.run_stretch(db, since, until, &mut each)? {
                break;
            }
        }
        Ok(())
    }

    /// The range of time, in as many parts as calls to be sorted want.
    fn stretches(&self, db: &Connection) -> Result<Vec<(i64, i64)>> {
        let whole = (self.since_us, self.until_us);
        let Some(parties) = &self.parties else { return Ok(vec![whole]) };
        let calls: i64 = db
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM json_each(?1) p CROSS JOIN party_calls c WHERE c.party_no = p.value
                 AND c.order_at_us >= ?2 AND c.order_at_us < ?3 LIMIT ?4)",
            )?
            .query_row((parties, whole.0, whole.1, COUNTED_CALLS), |r| r.get(0))?;
        let parts = if calls < COUNTED_CALLS { calls / SORTED_CALLS + 1 } else { MOST_STRETCHES };
        if parts == 1 {
            return Ok(vec![whole]);
        }
        let end = |which| {
            let sql = format!(
                "SELECT {which}(order_at_us) FROM calls WHERE order_at_us >= ?1 AND order_at_us < ?2"
            );
            db.prepare_cached(&sql)?.query_row([whole.0, whole.1], |r| r.get::<_, Option<i64>>(0))
        };
        let (Some(first), Some(last)) = (end("min")?, end("max")?) else { return Ok(Vec::new()) };
        let step = (last - first) / parts + 1;
        Ok((0..parts).map(|n| (first + n * step, (first + (n + 1) * step).min(whole.1))).collect())
    }

    /// The same for a part of the range; says whether `each` wants more.
    fn run_stretch(
        &self,
        db: &Connection,
        since_us: i64,
        until_us: i64,
        each: &mut impl FnMut(i64) -> std::result::Result<bool, rusqlite::Error>,
    ) -> Result<bool> {
        let mut statement = db.prepare_cached(&self.sql)?;
        let needle = self.needle.as_ref();
        let (text, digits) = (needle.map(|n| &n.text), needle.and_then(|n| n.digits.as_ref()));
        let bound = named_params! {
            ":since": since_us, ":until": until_us, ":text": text, ":digits": digits,
            ":parties": self.parties,
        };
        for (name, value) in bound {
            if let Some(at) = statement.parameter_index(name)? {
                statement.raw_bind_parameter(at, value)?;
            }
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !each(row.get(0)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn sql(way: &Way, filter: &Filter) -> String {
    // Literal words, so that SQLite sees that the partial indexes answer them.
    let state = match filter.state {
        None => "",
        Some(State::Active) => " AND c.state = 'active'",
        Some(State::Completed) => " AND c.state = 'completed'",
    };
    let carried = if filter.carried { " AND c.carried_primary IS NOT NULL" } else { "" };
    let in_range = |table| format!("{table}.order_at_us >= :since AND {table}.order_at_us < :until");
    let order = "ORDER BY c.order_at_us, c.id";
    let calls = in_range("c");
    let party_calls = in_range("pc");
    match way {
        Way::Time => format!("SELECT c.call_no FROM calls c WHERE {calls}{state}{carried} {order}"),
        Way::TimeAndParty => format!(
            "SELECT c.call_no FROM calls c WHERE {calls}{state}{carried} AND EXISTS (
                SELECT 1 FROM party_calls pc CROSS JOIN parties p
                WHERE pc.call_no = c.call_no AND p.party_no = pc.party_no
                  AND (instr(p.search_text, :text) OR instr(p.search_text, :digits))) {order}"
        ),
        // CROSS JOIN keeps SQLite from turning the order of the tables round. A call may have two matching parties.
        Way::Party => format!(
            "SELECT DISTINCT c.call_no, c.order_at_us, c.id
             FROM json_each(:parties) p CROSS JOIN party_calls pc CROSS JOIN calls c
             WHERE pc.party_no = p.value AND {party_calls} AND c.call_no = pc.call_no{state}{carried} {order}"
        ),
    }
}

pub(super) fn ceil_us(t: CaptureTime) -> i64 {
    t.micros() + i64::from(t.nanos().rem_euclid(1000) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::upgrade;

    fn steps(way: &Way, filter: &Filter) -> Vec<String> {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade::upgrade(&mut db, std::path::Path::new("test"), upgrade::MIGRATIONS).unwrap();
        let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {}", sql(way, filter))).unwrap();
        let mut rows = explain.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get::<_, String>(3).unwrap());
        }
        steps
    }

    /// No way reads a table from end to end.
    #[test]
    fn every_way_goes_by_an_index() {
        for state in [None, Some(State::Active), Some(State::Completed)] {
            for carried in [false, true] {
                let filter = Filter { state, carried, ..Filter::default() };
                for way in [Way::Time, Way::TimeAndParty, Way::Party] {
                    let steps = steps(&way, &filter);
                    let scans = |s: &&String| s.starts_with("SCAN") && !s.contains("VIRTUAL TABLE");
                    assert_eq!(steps.iter().find(scans), None, "{steps:?}");
                }
            }
        }
    }

    #[test]
    fn carried_and_active_calls_have_their_own_index() {
        let carried = Filter { carried: true, ..Filter::default() };
        assert!(
            steps(&Way::Time, &carried)[0].contains("calls_carried"),
            "{:?}",
            steps(&Way::Time, &carried)
        );
        let active = Filter { state: Some(State::Active), ..Filter::default() };
        assert!(steps(&Way::Time, &active)[0].contains("calls_active"), "{:?}", steps(&Way::Time, &active));
    }

    #[test]
    fn an_instant_within_a_microsecond_is_after_its_start() {
        assert_eq!(ceil_us(CaptureTime(1_000)), 1);
        assert_eq!(ceil_us(CaptureTime(1_001)), 2);
        assert_eq!(ceil_us(CaptureTime(-1_001)), -1);
    }

    /// 12,000 calls, each of a caller of its own (two of whom are a "rare bird") to one desk.
    fn busy() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        upgrade::upgrade(&mut db, std::path::Path::new("test"), upgrade::MIGRATIONS).unwrap();
        db.execute_batch(
            "CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                SELECT i FROM n;
             INSERT INTO parties (party_no, number, search_text)
                SELECT i, i, printf('+49%07d%s', i, iif(i % 6000 = 7, char(10) || 'rare bird', '')) FROM n;
             INSERT INTO parties (party_no, number, search_text) VALUES (20000, 'desk', '+49 desk');
             INSERT INTO party_text (rowid, search_text) SELECT party_no, search_text FROM parties;
             INSERT INTO calls (call_no, id, order_at_us, kind, state)
                SELECT i, printf('%05d', 99999 - i), i / 2, 'call', 'completed' FROM n;
             INSERT INTO party_calls SELECT i, i / 2, i FROM n;
             INSERT INTO party_calls SELECT 20000, i / 2, i FROM n;",
        )
        .unwrap();
        db
    }

    fn plan(db: &Connection, since: i64, text: &str) -> (Plan, Way) {
        let (since, party) = (Some(CaptureTime::from_micros(since)), Some(text.to_owned()));
        let plan = Plan::choose(db, &Filter { since, party, ..Filter::default() }).unwrap();
        let way = plan.way();
        (plan, way)
    }

    #[test]
    fn the_few_lead() {
        let db = busy();
        let way = |since, text| plan(&db, since, text).1;
        assert_eq!(way(0, "rare bird"), Way::Party, "many calls, few parties");
        assert_eq!(way(0, "ird"), Way::Party);
        assert_eq!(way(0, "rd"), Way::Party);
        assert_eq!(way(5_000, "rare bird"), Way::TimeAndParty, "few calls");
        assert_eq!(way(0, "+49"), Way::TimeAndParty, "both are many");
        assert_eq!(way(0, "9"), Way::TimeAndParty, "both are many");
        assert_eq!(way(0, " "), Way::Time, "no condition");
    }

    #[test]
    fn both_ways_find_the_same_calls_in_the_same_order() {
        let db = busy();
        for (text, parties, since, found) in [
            ("rare bird", "[7,6007]", 0, 2),
            ("rare bird", "[7,6007]", 4, 1),
            ("rd", "[7,6007]", 0, 2),
            ("desk", "[20000]", 5_900, 201),
            ("49 desk", "[20000,11999,20000]", 5_990, 21),
        ] {
            let (mut plan, _) = plan(&db, since, text);
            plan.parties = Some(parties.into());
            let mut by = |way: Way| {
                plan.sql = sql(&way, &Filter::default());
                let mut calls = Vec::new();
                let each = |n| {
                    calls.push(n);
                    Ok(true)
                };
                plan.run(&db, each).unwrap();
                calls
            };
            let by_time = by(Way::TimeAndParty);
            assert_eq!(by_time.len(), found, "{text} {since}");
            assert_eq!(by_time, by(Way::Party), "{text} {since}");
        }
    }

    /// 12,000 calls of a desk that is asked for by the list of its number many times over.
    #[test]
    fn many_calls_of_few_parties_come_a_stretch_at_a_time() {
        let db = busy();
        let many = format!("[{}20000]", "20000,".repeat(29));
        let (mut plan, _) = plan(&db, 0, "desk");
        plan.sql = sql(&Way::Party, &Filter::default());
        let calls = |plan: &Plan, most: usize| {
            let mut calls = Vec::new();
            let each = |n| {
                calls.push(n);
                Ok(calls.len() < most)
            };
            plan.run(&db, each).unwrap();
            calls
        };
        plan.parties = Some("[20000]".into());
        assert_eq!(plan.stretches(&db).unwrap().len(), 1);
        let at_once = calls(&plan, usize::MAX);
        plan.parties = Some(many);
        let stretches = plan.stretches(&db).unwrap();
        assert_eq!(stretches.len(), 64);
        assert!(stretches.windows(2).all(|w| w[0].1 == w[1].0));
        assert_eq!((calls(&plan, usize::MAX), at_once.len()), (at_once.clone(), 12_000));
        assert_eq!(calls(&plan, 500), at_once[..500]);
        assert_eq!(calls(&Plan { since_us: 3_000, until_us: 3_002, ..plan }, 99).len(), 4);
    }
}
