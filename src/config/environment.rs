//! I/O. The environment over the file: `EARWITNESS_` and the key in capitals.

use super::{Config, ConfigError, said};
use std::collections::BTreeMap;
use toml::{Table, Value};

const PREFIX: &str = "EARWITNESS_";
/// What the command line reads itself, and is no key.
const NO_KEYS: [&str; 1] = ["EARWITNESS_CONFIG"];

/// The variables that begin with `EARWITNESS_`. An empty one is as one that is not set.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().map(|(k, v)| (lossy(&k), lossy(&v))).collect()
    }

    /// The variable that gives this key its value, if there is one.
    #[must_use]
    pub fn variable_of(&self, key: &str) -> Option<String> {
        let name = variable(key);
        self.0.contains_key(&name).then_some(name)
    }

    /// Variables that look like ours and are no key. They may be somebody else's: Kubernetes sets
    /// `EARWITNESS_SERVICE_HOST` for a service of our name.
    pub fn strangers(&self) -> impl Iterator<Item = &str> {
        let keys = keys();
        self.0
            .keys()
            .map(String::as_str)
            .filter(move |name| !NO_KEYS.contains(name) && !keys.keys().any(|k| variable(k) == **name))
    }

    /// The configuration with what is said here in the place of what it says.
    ///
    /// # Errors
    /// When a value cannot work.
    pub(super) fn over(&self, config: Config) -> Result<Config, ConfigError> {
        if self.0.is_empty() {
            return Ok(config);
        }
        let mut all = Table::try_from(config).unwrap_or_default();
        for (key, default) in keys() {
            let Some(text) = self.0.get(&variable(&key)) else { continue };
            let value = like(&default, text);
            // Alone first: so what is wrong is this variable's fault.
            let wrong =
                |e: &toml::de::Error| ConfigError::Environment { variable: variable(&key), what: said(e) };
            Table::from_iter([(key.clone(), value.clone())]).try_into::<Config>().map_err(|e| wrong(&e))?;
            all.insert(key, value);
        }
        let what = |e| ConfigError::Environment { variable: format!("{PREFIX}…"), what: said(&e) };
        all.try_into().map_err(what)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let ours = variables.into_iter().filter(|(k, v)| k.starts_with(PREFIX) && !v.is_empty());
        Self(ours.collect())
    }
}

/// Every key with its default.
fn keys() -> Table {
    Table::try_from(Config::default()).unwrap_or_default()
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}

/// The text as a value of the kind that the default has; as a string when it is none, which the key then refuses.
fn like(default: &Value, text: &str) -> Value {
    let string = || Value::String(text.to_owned());
    match default {
        Value::Integer(_) => text.trim().parse().map_or_else(|_| string(), Value::Integer),
        Value::Boolean(_) => text.trim().parse().map_or_else(|_| string(), Value::Boolean),
        Value::Array(_) => {
            Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())
        }
        _ => string(),
    }
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}
