//! `report.html` in a real browser, where one is installed; elsewhere these are ignored and say why.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use blackstart::suite;
use libtest_mimic::{Arguments, Failed, Trial};

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "microsoft-edge",
];

/// What a hostile system might answer with.
const MARKUP: &str =
    "</script><script>document.title='taken'</script><img src=x onerror=alert(1)><b>bold</b>";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = BROWSERS.into_iter().find_map(on_the_path);
    let ignored = browser.is_none();
    let trial = |name: &str, test: fn(&Path) -> Result<(), Failed>| {
        let browser = browser.clone().unwrap_or_default();
        let kind = if ignored {
            "no browser on the PATH"
        } else {
            ""
        };
        Trial::test(name.to_owned(), move || test(&browser))
            .with_ignored_flag(ignored)
            .with_kind(kind)
    };
    let trials = vec![
        trial("a_page_has_nothing_to_complain_about", silent),
        trial("markup_from_outside_stays_text", text),
        trial("a_page_is_printed_on_either_paper", printed),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn on_the_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The folder of a run in which the primary fails for a while, and its answers have markup in them.
fn run() -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (from, to) in [
        ("drills/scale-to-zero.yaml", suite::DRILL),
        ("fixtures/environments/three-tier.yaml", suite::ENVIRONMENT),
    ] {
        fs::copy(repository.join(from), folder.path().join(to))?;
    }
    let mut events = String::new();
    let mut event = |at: f64, rest: &str| {
        writeln!(events, r#"{{"v":1,"t":{at:.6},{rest}}}"#).expect("memory takes every write");
    };
    let markup = MARKUP.replace('"', "\\\"");
    event(
        0.0,
        &format!(
            r#""type":"run","format_version":"1.0","tool_version":"0.1.0","run_id":"browser","drill":"scale-to-zero","drill_file":"drills/scale-to-zero.yaml","environment":"three-tier","started_at":"2026-11-21T00:00:00Z","command":["blackstart","{markup}"],"host":"{markup}","seed":1,"speed":20.0,"tiers":["primary","vm","maintenance"],"probes":[{{"name":"read","kind":{{"http":{{"request":"read","writes":false,"connection":"new","standby":null}}}},"every":2,"timeout":18,"good_within":16}}],"observers":["health-check"],"faults":[{{"kind":"scale","target":"web","describe":"set replicas to 0 on web","line":8}}]"#
        ),
    );
    event(0.1, r#""type":"phase","phase":"steady-state""#);
    let mut later = vec![
        (60.0, r#""type":"phase","phase":"inject""#.to_owned()),
        (
            60.0,
            r#""type":"fault","id":0,"step":"captured""#.to_owned(),
        ),
        (60.1, r#""type":"fault","id":0,"step":"issued""#.to_owned()),
        (
            60.2,
            r#""type":"fault","id":0,"step":"verified""#.to_owned(),
        ),
        (60.3, r#""type":"phase","phase":"hold""#.to_owned()),
        (
            110.0,
            format!(
                r#""type":"observed","observer":"health-check","healthy":false,"detail":"{markup}","before":100"#
            ),
        ),
        (180.0, r#""type":"phase","phase":"revert""#.to_owned()),
        (
            180.0,
            r#""type":"fault","id":0,"step":"revert-issued""#.to_owned(),
        ),
        (
            180.1,
            r#""type":"fault","id":0,"step":"reverted""#.to_owned(),
        ),
        (
            180.2,
            r#""type":"fault","id":0,"step":"restored""#.to_owned(),
        ),
        (180.3, r#""type":"phase","phase":"failback""#.to_owned()),
        (
            300.0,
            r#""type":"ended","outcome":"completed","clock_drift_ms":0.1"#.to_owned(),
        ),
    ];
    later.reverse();
    for number in 0..=150_u32 {
        let at = f64::from(number) * 2.0;
        while let Some((when, rest)) = later.pop_if(|(when, _)| *when <= at) {
            event(when, &rest);
        }
        let tier = if at > 60.0 && at < 260.0 {
            "vm"
        } else {
            "primary"
        };
        let seen = if at > 60.0 && at < 120.0 {
            format!(r#""verdict":{{"bad":"http5xx"}},"status":503,"detail":"{markup}""#)
        } else {
            format!(
                r#""verdict":"good","tier":"{tier}","status":200,"headers":{{"server":"{markup}"}}"#
            )
        };
        event(
            at + 0.05,
            &format!(
                r#""type":"sample","probe":"read","seq":{number},"due":{at},"start":{at},"end":{},{seen}"#,
                at + 0.05
            ),
        );
    }
    fs::write(folder.path().join(suite::EVENTS), events)?;
    let output = report(folder.path(), &[])?;
    if folder.path().join("report.html").is_file() {
        return Ok(folder);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

fn report(folder: &Path, more: &[&str]) -> Result<Output, std::io::Error> {
    Command::new(env!("CARGO_BIN_EXE_blackstart"))
        .arg("report")
        .arg(folder)
        .args(more)
        .output()
}

/// Opens the page and yields what became of it, with what the browser had to say.
fn open(browser: &Path, folder: &Path) -> Result<(String, String), Failed> {
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--enable-logging=stderr",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]);
    if nix::unistd::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    let mut profile = std::ffi::OsString::from("--user-data-dir=");
    profile.push(folder.join("profile"));
    let page = format!("file://{}", folder.join("report.html").display());
    let output = command.arg(profile).arg(page).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok((
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn silent(browser: &Path) -> Result<(), Failed> {
    let run = run()?;
    let (document, said) = open(browser, run.path())?;
    for number in 4..=15 {
        let section = format!("id=\"section-{number}\"");
        ensure(document.contains(&section), || {
            format!("{section} is missing")
        })?;
    }
    let console: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    ensure(console.is_empty(), || console.join("\n"))
}

fn text(browser: &Path) -> Result<(), Failed> {
    let run = run()?;
    let (document, _) = open(browser, run.path())?;
    ensure(document.contains("onerror=alert(1)"), || {
        "the text is not on the page".to_owned()
    })?;
    for element in ["<img", "<b>bold"] {
        ensure(!document.contains(element), || {
            format!("{element} became an element")
        })?;
    }
    ensure(!document.contains("<title>taken"), || {
        "a script of the system under test ran".to_owned()
    })
}

fn printed(_browser: &Path) -> Result<(), Failed> {
    let run = run()?;
    // Points, as Chromium writes them: 210 by 297 mm and 8.5 by 11 inches.
    for (paper, width) in [("a4", 595.0), ("letter", 612.0)] {
        let output = report(run.path(), &["--pdf", "--paper", paper])?;
        let file = fs::read(run.path().join("report.pdf"))
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let text = String::from_utf8_lossy(&file);
        let pages = text.matches("/Type /Page\n").count();
        ensure((2..=15).contains(&pages), || {
            format!("{pages} pages on {paper}")
        })?;
        let found = text
            .split("/MediaBox [0 0 ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        ensure(
            found.is_some_and(|found| (found - width).abs() < 1.5),
            || format!("{paper} is {found:?} points wide"),
        )?;
    }
    Ok(())
}
