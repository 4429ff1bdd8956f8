//! Whether the pages that an environment's static sites serve can be read.

use std::fs::File;

use crate::{
    environment::EnvironmentFile,
    source::{Context, Problem, Step::Key, shown},
};

/// Reports the pages that are missing or cannot be read.
pub(super) fn environment(context: &Context<'_>, file: &EnvironmentFile) {
    let sites = file
        .environment
        .stack
        .iter()
        .flat_map(|stack| &stack.static_sites);
    for (name, site) in sites {
        // Looked at before it is opened: opening a named pipe would wait for its writer.
        let what = match site.page.metadata() {
            Ok(metadata) if metadata.is_file() => match File::open(&site.page) {
                Ok(_) => continue,
                Err(_) => "may not be read",
            },
            Ok(_) => "is not a file",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is not there",
            Err(_) => "may not be read",
        };
        let node =
            file.document
                .follow(&[Key("stack"), Key("static-sites"), Key(name), Key("page")]);
        context.push(Problem::error(
            context.file(),
            node.place,
            format!("the page {} {what}", shown(node)),
        ));
    }
}
