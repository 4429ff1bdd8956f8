//! JSON Schemas (draft 2020-12) of drill files, environment files and `report.json`, generated from the types and their documentation.

use serde_json::Value;

/// The schema of a drill file.
pub fn drill() -> Value {
    Value::Null
}

/// The schema of an environment file.
pub fn environment() -> Value {
    Value::Null
}

/// The schema of `report.json`.
pub fn report() -> Value {
    Value::Null
}
