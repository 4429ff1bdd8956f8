//! `init`: an environment and a first drill for a service of one's own, with comments that say how to go on.

mod files;

use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::redirect;

use self::files::{Answer, Broken, Setup};
use super::{Terminal, arguments::InitArguments, print, tell};
use crate::{exit_code::ExitCode, hostile::harmless, probe::http::tls_config, suite::Threads};

/// How long the service is waited for when it is looked at once.
const LOOK: Duration = Duration::from_secs(5);

/// What cannot be written down.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("`{0}` is no URL of a service: write one such as `https://www.example.com/`")]
    Url(String),
    #[error(
        "`{0}` is no name: letters, digits, `.`, `_` and `-`, at most 64, the first a letter or a digit"
    )]
    Name(String),
    #[error(
        "`{0}` is no mark of an answer: write a header and what it contains, such as `server: nginx`"
    )]
    Mark(String),
    #[error(
        "nobody said which service\n\nhint: `blackstart init --url https://www.example.com/`; on a terminal it asks"
    )]
    Nothing,
    #[error("`{}` is there already; nothing was written", .0.display())]
    Exists(PathBuf),
    #[error("could not write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(super) fn init(arguments: &InitArguments, terminal: Terminal) -> ExitCode {
    match write(arguments, terminal) {
        Ok(text) => {
            print(&text);
            ExitCode::Passed
        }
        Err(error) => {
            tell(&format!("error: {error}"));
            match error {
                InitError::Write { .. } => ExitCode::CouldNotRun,
                InitError::Url(_)
                | InitError::Name(_)
                | InitError::Mark(_)
                | InitError::Nothing
                | InitError::Exists(_) => ExitCode::Usage,
            }
        }
    }
}

fn write(arguments: &InitArguments, terminal: Terminal) -> Result<String, InitError> {
    let asks = io::stdin().is_terminal() && terminal.live && arguments.url.is_none();
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None if asks => ask("The URL of the service, as users type it", "")?,
        None => return Err(InitError::Nothing),
    };
    let host = host_of(&url).ok_or_else(|| InitError::Url(url.clone()))?;
    let proposed = arguments.name.clone().unwrap_or_else(|| name_of(&host));
    let name = if asks && arguments.name.is_none() {
        ask("A short name for it", &proposed)?
    } else {
        proposed
    };
    if !is_name(&name) {
        return Err(InitError::Name(name));
    }
    let broken = match (&arguments.container, &arguments.service) {
        (Some(container), _) => Some(Broken::Container(container.clone())),
        (None, Some(service)) => Some(Broken::Service {
            service: service.clone(),
            project: arguments.project.clone(),
        }),
        (None, None) if asks => {
            let container = ask(
                "A container on this machine that may be stopped for ten seconds (empty: none, rehearse in a lab)",
                "",
            )?;
            (!container.is_empty()).then_some(Broken::Container(container))
        }
        (None, None) => None,
    };
    let answer = match &arguments.recognise {
        Some(mark) => Answer {
            mark: read_mark(mark)?,
            status: 200,
        },
        None => look(&url),
    };
    let setup = Setup {
        url,
        host,
        name,
        broken,
        answer,
    };
    let files: Vec<_> = setup
        .files()
        .into_iter()
        .map(|file| (in_folder(&arguments.folder, &file.path), file))
        .collect();
    for (path, _) in &files {
        if fs::symlink_metadata(path).is_ok() {
            return Err(InitError::Exists(path.clone()));
        }
    }
    let mut lines = Vec::new();
    for (path, file) in &files {
        create(path, &file.text).map_err(|source| InitError::Write {
            path: path.clone(),
            source,
        })?;
        lines.push(format!("wrote {:<42} {}", path.display(), file.about));
    }
    lines.push("\nnext".to_owned());
    for (command, about) in setup.next() {
        lines.push(format!("  {command:<52} {about}"));
    }
    Ok(lines.join("\n") + "\n")
}

/// A path as people would type it.
fn in_folder(folder: &Path, path: &str) -> PathBuf {
    if folder == Path::new(".") {
        PathBuf::from(path)
    } else {
        folder.join(path)
    }
}

/// Makes a file that is not there yet; whatever is there stays.
fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Asks on the terminal; nothing typed is the proposal.
fn ask(question: &str, proposed: &str) -> Result<String, InitError> {
    let shown = if proposed.is_empty() {
        String::new()
    } else {
        format!(" [{proposed}]")
    };
    tell(&format!("{question}{shown}:"));
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err(InitError::Nothing),
        Ok(_) if line.trim().is_empty() => Ok(proposed.to_owned()),
        Ok(_) => Ok(line.trim().to_owned()),
    }
}

/// The host of a URL that can stand in an environment file.
fn host_of(url: &str) -> Option<String> {
    let parsed: http::Uri = url.parse().ok()?;
    let is_http = matches!(parsed.scheme_str(), Some("http" | "https"));
    // A user name would be a secret in a file, and `${` a variable.
    if !is_http || url.contains('@') || url.contains("${") {
        return None;
    }
    let host = parsed.host().filter(|host| !host.is_empty())?;
    Some(host.to_owned())
}

/// A name made of a host: `www.example.com` is `example`, `127.0.0.1` is `127-0-0-1`.
fn name_of(host: &str) -> String {
    let plain = host.trim_matches(['[', ']']).replace(':', "-");
    if plain.parse::<std::net::IpAddr>().is_ok() || plain.contains("--") {
        return format!("at-{}", plain.replace('.', "-"));
    }
    let labels: Vec<&str> = plain.split('.').filter(|label| *label != "www").collect();
    labels
        .first()
        .map_or_else(|| "service".to_owned(), |label| (*label).to_owned())
}

fn is_name(text: &str) -> bool {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(sound)
}

fn read_mark(text: &str) -> Result<Option<(String, String)>, InitError> {
    let wrong = || InitError::Mark(text.to_owned());
    let (name, contains) = text.split_once(':').ok_or_else(wrong)?;
    let (name, contains) = (name.trim().to_ascii_lowercase(), contains.trim());
    if name.parse::<http::HeaderName>().is_err() || contains.is_empty() || contains.contains("${") {
        return Err(wrong());
    }
    Ok(Some((name, contains.to_owned())))
}

/// Looks at the service once, for what its answers can be recognised by.
fn look(url: &str) -> Answer {
    match look_once(url) {
        Ok(answer) => answer,
        Err(reason) => {
            tell(&format!(
                "warning: `{url}` could not be looked at, so its tier is recognised by any answer: {}",
                harmless(&reason)
            ));
            Answer {
                mark: None,
                status: 200,
            }
        }
    }
}

fn look_once(url: &str) -> Result<Answer, String> {
    let threads = Threads::start().map_err(|error| error.to_string())?;
    let tls = tls_config(None).map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .timeout(LOOK)
        .build()
        .map_err(|error| crate::causes::with_causes(&error))?;
    let answer = threads
        .block_on(async { client.get(url).send().await })
        .map_err(|error| crate::causes::with_causes(&error.without_url()))?;
    let mark = ["server", "via", "x-powered-by", "content-type"]
        .into_iter()
        .find_map(|name| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            // `nginx/1.18.0 (Ubuntu)` is another one after the next update.
            let word = value.split(['/', ';', ' ']).next()?;
            let sound = !word.is_empty() && !word.contains("${") && harmless(word) == word;
            sound.then(|| (name.to_owned(), word.to_owned()))
        });
    Ok(Answer {
        mark,
        status: answer.status().as_u16(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_host() {
        for (host, name) in [
            ("www.example.com", "example"),
            ("shop.staging.example.com", "shop"),
            ("localhost", "localhost"),
            ("127.0.0.1", "at-127-0-0-1"),
            ("[::1]", "at---1"),
        ] {
            assert_eq!(name_of(host), name, "{host}");
            assert!(is_name(&name_of(host)), "{host}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_file_is_refused() {
        for url in [
            "example.com",
            "ftp://example.com/",
            "https:///",
            "https://me:secret@example.com/",
            "https://example.com/${A}",
            "",
        ] {
            assert_eq!(host_of(url), None, "{url}");
        }
        for mark in ["nginx", ": nginx", "server:", "ser ver: x", "server: ${X}"] {
            assert!(read_mark(mark).is_err(), "{mark}");
        }
        for name in ["", "-a", "a b", "a/b", "../a"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
