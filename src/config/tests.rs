use super::values::check_name;
use super::*;

fn environment<const N: usize>(variables: [(&str, &str); N]) -> Environment {
    variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn load(text: &str) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(&file, text).unwrap();
    Config::load_in(Some(file.path()), &Environment::default()).map_err(|e| {
        let name = file.path().display().to_string();
        let e = e.to_string();
        assert!(e.starts_with(&name) && !e.contains('\n'), "{e}");
        e[name.len()..].to_owned()
    })
}

#[test]
fn what_explain_prints_loads_again() {
    let odd = Config {
        data: "/a b/\"c".into(),
        interfaces: vec!["eth0".into(), "mirror.7".into()],
        hep: vec!["0.0.0.0:9060".parse().unwrap()],
        capture_filter: "host 10.0.0.5 or (udp and port 5060)".into(),
        ring_mb: 2047,
        capture_threads: 3,
        flush_ms: 10,
        sync_s: 60,
        primaries: vec!["10.0.0.5:5060".parse().unwrap(), "[2001:db8::5]:5060".parse().unwrap()],
        on_primary_change: vec!["/bin/tell".into(), "a, \\ 'b'\n".into(), String::new()],
        recording_name: "{id}/\"é'{caller}".into(),
        keep_days: 90,
        workers: 7,
        hold_timeout_s: 1,
        log: "debug".into(),
        log_json: true,
        ..Config::default()
    };
    for config in [Config::default(), odd] {
        assert_eq!(load(&config.explain()).unwrap(), config);
    }
    assert!(Config::default().explain().lines().all(|l| l.len() <= 112));
    let keys = toml::Table::try_from(Config::default()).unwrap();
    let explained = Config::default().explain().parse::<toml::Table>().unwrap();
    assert_eq!(keys, explained, "every key is explained");
    assert_eq!(load("").unwrap(), Config::default());
    assert_eq!(load("media_timeout_s = 5\n").unwrap().media_timeout_s, 5);
}

#[test]
fn an_error_names_file_line_and_key() {
    for (text, start, part) in [
        (
            "\n\nmedia_timout_s = 5\n",
            ", line 3, key `media_timout_s`: no such key as `media_timout_s`",
            "media_timeout_s",
        ),
        ("workers = 1\nmedia_timeout_s = \"5\"\n", ", line 2, key `media_timeout_s`: ", "integer"),
        ("# é\nhold_timeout_s = 0", ", line 2, key `hold_timeout_s`: must be 1 to 604800", ""),
        ("workers = -1", ", line 1, key `workers`: must be 0", ""),
        ("workers = 1\nworkers = 2", ", line 2, key `workers`: duplicate key", ""),
        ("this is not TOML", ", line 1: ", ""),
        ("[capture]\nring = 1", ", line 1: no such key as `capture`", ""),
        ("recording_name = \"{year}\"", ", line 1, key `recording_name`: must hold {id}", ""),
        ("keep_days = -1", ", line 1, key `keep_days`: must be 0 to 36500 (days; 0: for ever)", ""),
        ("data = \"\"", ", line 1, key `data`: must be a path", ""),
        ("interfaces = \"eth0\"", ", line 1, key `interfaces`: ", "a list in brackets"),
        (
            "interfaces = [\n  \"eth0\",\n  \"a-name-too-long0\",\n]",
            ", line 1, key `interfaces`: has \"a-name-",
            "",
        ),
        ("interfaces = [\"a\", \"b\", \"a\"]", ", line 1, key `interfaces`: has \"a\" twice", ""),
        ("capture_threads = 0", ", line 1, key `capture_threads`: must be 1 to 16", ""),
        ("ring_mb = 2048", ", line 1, key `ring_mb`: must be 1 to 2047 (megabytes)", ""),
        ("flush_ms = 5", ", line 1, key `flush_ms`: must be 10 to 2000 (milliseconds)", ""),
        ("sync_s = 0", ", line 1, key `sync_s`: must be 1 to 60 (seconds)", ""),
        (
            "primaries = [\"10.0.0.5\"]",
            ", line 1, key `primaries`: has \"10.0.0.5\"; must be ",
            "10.0.0.5:5060",
        ),
        ("primaries = [\"0.0.0.0:5060\"]", ", line 1, key `primaries`: has \"0.0.0.0:5060\"", ""),
        ("hep = [\"9060\"]", ", line 1, key `hep`: has \"9060\"; must be address:port", "0.0.0.0:9060"),
        ("on_primary_change = [\"\"]", ", line 1, key `on_primary_change`: must begin with a command", ""),
        ("log = \"trace\"", ", line 1, key `log`: must be one of error, warn, info, debug", ""),
        ("log_json = 1", ", line 1, key `log_json`: ", "boolean"),
    ] {
        let error = load(text).unwrap_err();
        assert!(error.starts_with(start) && error.contains(part), "{text:?}: {error}");
    }
    let missing =
        Config::load_in(Some(Path::new("/no/such.toml")), &Environment::default()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration /no/such.toml: "), "{missing}");
}

#[test]
fn a_name_stays_under_recordings_and_is_one_a_call() {
    for good in ["{id}", "{year}/{caller}-{callee}/{time}-{id}", "a b/{id}..x"] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "{year}",
        "/{id}",
        "../{id}",
        "a/../{id}",
        "{id}/",
        "a//{id}",
        "{Id}",
        "{id",
        "id}{id}",
        "{id}\\x",
        "{id}\n",
    ] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_environment_goes_before_the_file() {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(&file, "workers = 3\nsync_s = 9\ninterfaces = [\"a\"]\n").unwrap();
    let environment = environment([
        ("EARWITNESS_WORKERS", "5"),
        ("EARWITNESS_INTERFACES", "eth0, eth1"),
        ("EARWITNESS_PRIMARIES", "10.0.0.5:5060,[2001:db8::5]:5060"),
        ("EARWITNESS_LOG_JSON", "true"),
        ("EARWITNESS_DATA", "/d"),
        ("EARWITNESS_SYNC_S", ""),
        ("EARWITNESS_CONFIG", "/read/by/the/command/line"),
        ("EARWITNESS_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ]);
    let config = Config::load_in(Some(file.path()), &environment).unwrap();
    assert_eq!((config.workers, config.sync_s, config.log_json), (5, 9, true));
    assert_eq!(config.interfaces, ["eth0", "eth1"]);
    assert_eq!(config.primaries, ["10.0.0.5:5060", "[2001:db8::5]:5060"].map(|p| p.parse().unwrap()));
    assert_eq!(config.data, Path::new("/d"));
    assert_eq!(environment.strangers().collect::<Vec<_>>(), ["EARWITNESS_SERVICE_HOST"]);
    let printed = config.explain_in(&environment);
    assert!(printed.contains("\nworkers = 5 # from the environment: EARWITNESS_WORKERS\n"), "{printed}");
    assert!(printed.contains("\nsync_s = 9\n"), "{printed}");
    assert_eq!(load(&printed).unwrap(), config);
}

#[test]
fn an_error_of_the_environment_names_the_variable() {
    for (name, value, part) in [
        ("EARWITNESS_WORKERS", "many", "integer"),
        ("EARWITNESS_FLUSH_MS", "1", "must be 10 to 2000"),
        ("EARWITNESS_PRIMARIES", "10.0.0.5", "must be address:port"),
        ("EARWITNESS_LOG_JSON", "yes", "boolean"),
        ("EARWITNESS_INTERFACES", "eth0,,eth1", "no name of an interface"),
    ] {
        let error = Config::load_in(None, &environment([(name, value)])).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} in the environment: ")), "{error}");
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
}
