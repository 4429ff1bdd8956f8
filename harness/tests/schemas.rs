//! The committed schemas are those that the types yield.
//!
//! `BLACKSTART_UPDATE_EXPECTED=1` writes them instead of comparing them.

use std::{fs, path::Path};

use blackstart::schema;

#[test]
fn the_committed_schemas_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, generated) in [
        ("drill", schema::drill()),
        ("environment", schema::environment()),
        ("report", schema::report()),
    ] {
        let file = folder.join(format!("{name}.schema.json"));
        let generated = serde_json::to_string_pretty(&generated).expect("JSON can be written") + "\n";
        if std::env::var_os("BLACKSTART_UPDATE_EXPECTED").is_some() {
            fs::create_dir_all(&folder).expect("the folder can be made");
            fs::write(&file, &generated).expect("the schema can be written");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == generated,
            "{} differs from the types: run with BLACKSTART_UPDATE_EXPECTED=1 and commit it",
            file.display()
        );
    }
}
