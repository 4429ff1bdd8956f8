//! `report.html` in a real browser, where one is installed; elsewhere these are ignored and say why.
//!
//! `BLACKSTART_SCREENSHOTS=folder cargo test --test browser` keeps pictures of the pages to look at.

mod devtools;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use blackstart::suite;
use devtools::Browser;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "microsoft-edge",
];

/// What turns a PDF into text.
const READER: &str = "pdftotext";
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
    let numbered = trial("every_printed_page_has_its_number", numbered);
    let numbered = if ignored || on_the_path(READER).is_some() {
        numbered
    } else {
        numbered
            .with_ignored_flag(true)
            .with_kind(format!("no {READER} on the PATH"))
    };
    let trials = vec![
        trial("pages_have_nothing_to_complain_about", silent),
        trial("markup_from_outside_stays_text", text),
        trial("nothing_is_cut_off_at_200_percent", enlarged),
        trial(
            "every_link_is_reached_by_the_keyboard_and_seen_to_be",
            by_keyboard,
        ),
        trial("everything_can_be_read_in_light_dark_and_print", readable),
        trial("nothing_is_told_by_colour_alone", without_colour),
        trial("the_first_page_of_a_print_is_complete", first_page),
        trial("a_page_is_printed_on_either_paper", printed),
        numbered,
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

/// The folder of two runs, with an index over them.
fn runs() -> Result<tempfile::TempDir, Failed> {
    let (folder, one) = (tempfile::tempdir()?, run()?);
    for name in ["scale-to-zero", "other"] {
        let copy = folder.path().join(name);
        fs::create_dir(&copy)?;
        for file in [suite::DRILL, suite::ENVIRONMENT, suite::EVENTS] {
            fs::copy(one.path().join(file), copy.join(file))?;
        }
    }
    report(folder.path(), &[])?;
    Ok(folder)
}

/// Pages, each by its name.
type Pages = [(&'static str, PathBuf); 2];

/// The page of a run and the index over two, with the folders that they are in.
fn pages() -> Result<(Pages, [tempfile::TempDir; 2]), Failed> {
    let folders = [run()?, runs()?];
    let pages = ["page", "index"];
    let files = [0, 1].map(|place| (pages[place], folders[place].path().join("report.html")));
    Ok((files, folders))
}

/// A browser and the folder of its profile, which is kept as long.
fn started(program: &Path) -> Result<(Browser, tempfile::TempDir), Failed> {
    let folder = tempfile::tempdir()?;
    Ok((Browser::start(program, folder.path())?, folder))
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what().into()) }
}

/// That a list which a script on the page has made is empty.
fn none(found: &Value, what: &str) -> Result<(), Failed> {
    match found.as_array() {
        Some(found) if found.is_empty() => Ok(()),
        Some(found) => Err(format!("{what}: {}", json!(found)).into()),
        None => Err(format!("{what}: no list but {found}").into()),
    }
}

fn silent(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    for (name, page) in &pages {
        browser.open(page)?;
        let console = browser.console()?;
        ensure(console.is_empty(), || {
            format!("{name}: {}", console.join("\n"))
        })?;
        browser.window(1280, 900, 1)?;
        browser.picture(&format!("{name}-light"))?;
    }
    browser.open(&pages[0].1)?;
    let sections = browser.evaluate(
        "[...Array(15)].map((_, n) => n + 1).filter(n => !document.getElementById('section-' + n))",
    )?;
    none(&sections, "missing sections")?;
    // Who cannot see the figure is told what it shows, and where it stands as a table.
    let figure = browser.evaluate(
        "(() => { const svg = document.querySelector('figure.timeline svg'); \
         return [svg.getAttribute('role'), !!svg.querySelector('title').textContent, !!svg.querySelector('desc').textContent, \
         !!document.querySelector('#spells ~ table')]; })()",
    )?;
    ensure(figure == json!(["img", true, true, true]), || {
        figure.to_string()
    })
}

fn text(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    for (name, page) in &pages {
        browser.open(page)?;
        let made = browser.evaluate(
            "[...document.querySelectorAll('script:not([type=\"application/json\"]), img, b, iframe, [onerror], [onclick]')].map(e => e.outerHTML)",
        )?;
        none(&made, name)?;
        let title = browser.evaluate("document.title")?;
        ensure(title != "taken", || format!("{name}: a script ran"))?;
    }
    browser.open(&pages[0].1)?;
    let shown =
        browser.evaluate("document.body.innerText.includes('<img src=x onerror=alert(1)>')")?;
    ensure(shown == true, || "the text is not on the page".to_owned())
}

/// Texts that reach out of the window, or out of a box that cuts them off.
const CUT_OFF: &str = "(() => {
    const cut = [];
    const wide = document.documentElement;
    if (wide.scrollWidth > wide.clientWidth) cut.push('the page is ' + wide.scrollWidth + ' wide');
    const scrolls = e => e && (/(auto|scroll)/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    for (const e of document.querySelectorAll('main *:not(svg *)')) {
        const box = e.getBoundingClientRect();
        if (box.width && box.right > wide.clientWidth + 1 && !scrolls(e.parentElement))
            cut.push(e.tagName + ' ' + e.className + ': ' + e.textContent.slice(0, 40));
        const style = getComputedStyle(e);
        if (/(hidden|clip)/.test(style.overflow) && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1))
            cut.push('cut off: ' + e.textContent.slice(0, 40));
    }
    return cut;
})()";

fn enlarged(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    for (name, page) in &pages {
        browser.open(page)?;
        // A window of 1280 points at 100 %, 200 % and 400 %.
        for (width, scale) in [(1280, 1), (640, 2), (320, 4)] {
            browser.window(width, 900, scale)?;
            browser.picture(&format!("{name}-{width}"))?;
            none(&browser.evaluate(CUT_OFF)?, &format!("{name} at {width}"))?;
        }
    }
    Ok(())
}

fn by_keyboard(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    for (name, page) in &pages {
        browser.open(page)?;
        let links = browser.evaluate("document.links.length")?;
        let links = links.as_u64().unwrap_or_default();
        ensure(links > 0, || format!("{name} leads nowhere"))?;
        let mut reached = Vec::new();
        // Boxes that scroll are stops on the way as well.
        for _ in 0..4 * links + 20 {
            browser.press("Tab", 9)?;
            let focused = browser.evaluate(
                "(() => { const e = document.activeElement; const i = [...document.links].indexOf(e); \
                 return i < 0 ? null : [i, getComputedStyle(e).outlineStyle, e.textContent.trim()]; })()",
            )?;
            let Some(link) = focused[0].as_u64() else {
                continue;
            };
            if reached.contains(&link) {
                break;
            }
            reached.push(link);
            ensure(focused[1] != "none" && focused[2] != "", || {
                format!("{name}: nobody sees where the focus is: {focused}")
            })?;
        }
        ensure(reached == (0..links).collect::<Vec<_>>(), || {
            format!("{name}: {links} links, and the keyboard reaches {reached:?}")
        })?;
    }
    Ok(())
}

/// Texts whose contrast with what is behind them is less than 4.5 to 1 (WCAG 1.4.3), which a printer without colour prints as well.
const FAINT: &str = "(() => {
    const numbers = color => (color.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = e => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
    const faint = [];
    for (const e of document.querySelectorAll('main *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        if (!e.getClientRects().length || /^(title|desc|script|style)$/i.test(e.tagName)) continue;
        const style = getComputedStyle(e);
        const halo = numbers(style.stroke), inside = e instanceof SVGElement;
        // A letter on a pattern has a rim of its own to stand out from.
        const ground = inside && style.stroke !== 'none' && parseFloat(style.strokeWidth) > 1 ? halo : behind(e);
        const [a, b] = [light(numbers(inside ? style.fill : style.color)), light(ground)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(e.tagName + ' ' + (e.getAttribute('class') || '') + ' ' + contrast.toFixed(2) + ': ' + e.textContent.trim().slice(0, 40));
    }
    return faint;
})()";

fn readable(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    for (name, page) in &pages {
        browser.open(page)?;
        browser.window(1280, 900, 1)?;
        let mut grounds = Vec::new();
        for (media, scheme) in [("screen", "light"), ("screen", "dark"), ("print", "dark")] {
            browser.media(media, scheme)?;
            browser.picture(&format!("{name}-{media}-{scheme}"))?;
            none(
                &browser.evaluate(FAINT)?,
                &format!("{name} on {media}, {scheme}"),
            )?;
            grounds.push(
                browser.evaluate("getComputedStyle(document.documentElement).backgroundColor")?,
            );
        }
        ensure(grounds[0] != grounds[1], || format!("{name} is not dark"))?;
        ensure(grounds[0] == grounds[2], || {
            format!("{name} is printed as {}", grounds[2])
        })?;
    }
    Ok(())
}

fn without_colour(program: &Path) -> Result<(), Failed> {
    let (pages, _folders) = pages()?;
    let (mut browser, _profile) = started(program)?;
    let grey = json!({ "type": "achromatopsia" });
    for (name, page) in &pages {
        browser.open(page)?;
        browser.media("print", "light")?;
        browser.window(688, 1001, 1)?;
        browser.order("Emulation.setEmulatedVisionDeficiency", &grey)?;
        browser.picture(&format!("{name}-print-grey"))?;
        let wordless = browser.evaluate(
            "[...document.querySelectorAll('.status, .verdict')].filter(e => !(e.textContent.trim() && (e.getAttribute('aria-label') || e.textContent.trim().length > 1))).map(e => e.outerHTML)",
        )?;
        none(&wordless, &format!("{name}: states without a word"))?;
    }
    browser.open(&pages[0].1)?;
    // What a lane saw is told by its pattern: no two states of the legend look the same without colour.
    let alike = browser.evaluate(
        "(() => { const fills = [...document.querySelectorAll('figure.timeline .key rect')].map(e => getComputedStyle(e).fill); \
         return fills.filter((fill, n) => !fill.startsWith('url') && fills.indexOf(fill) !== n); })()",
    )?;
    none(&alike, "states that look alike")
}

/// The room on a page in points: 210 by 297 mm, or 8.5 by 11 inches, without the margins of the style sheet.
const ROOM: [(&str, f64, f64); 2] = [
    (
        "a4",
        (210.0 - 28.0) / 25.4 * 96.0,
        (297.0 - 32.0) / 25.4 * 96.0,
    ),
    (
        "letter",
        8.5 * 96.0 - 28.0 / 25.4 * 96.0,
        11.0 * 96.0 - 32.0 / 25.4 * 96.0,
    ),
];

fn first_page(program: &Path) -> Result<(), Failed> {
    let run = run()?;
    let (mut browser, _profile) = started(program)?;
    browser.open(&run.path().join("report.html"))?;
    browser.media("print", "light")?;
    for (paper, width, height) in ROOM {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred points"
        )]
        let (across, down) = (width as u32, height as u32);
        browser.window(across, down, 1)?;
        browser.picture(&format!("first-page-{paper}"))?;
        let ends = browser.evaluate(
            "['.cover', 'figure.timeline'].map(e => document.querySelector(e).getBoundingClientRect().bottom + scrollY)",
        )?;
        for end in ends.as_array().into_iter().flatten() {
            ensure(end.as_f64().is_some_and(|end| end <= height), || {
                format!(
                    "on {paper} the verdict, the results and the figure end at {end} of {height:.0}"
                )
            })?;
        }
        let on_it = browser.evaluate(
            "['section-1', 'section-2', 'section-3'].filter(id => !document.querySelector('.cover').contains(document.getElementById(id)))",
        )?;
        none(&on_it, "not on the first page")?;
    }
    Ok(())
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

fn numbered(_browser: &Path) -> Result<(), Failed> {
    let run = run()?;
    report(run.path(), &["--pdf"])?;
    let read = Command::new(READER)
        .args(["-layout", "report.pdf", "-"])
        .current_dir(run.path())
        .output()?;
    let text = String::from_utf8_lossy(&read.stdout);
    // Each page ends with a form feed.
    let pages: Vec<&str> = text.split_terminator('\u{c}').collect();
    ensure(pages.len() > 1, || format!("{} pages", pages.len()))?;
    for (index, page) in pages.iter().enumerate() {
        let number = format!("{}/{}", index + 1, pages.len());
        let last = page.lines().rfind(|line| !line.trim().is_empty());
        ensure(last.is_some_and(|line| line.ends_with(&number)), || {
            format!("the last line of page {} is {last:?}", index + 1)
        })?;
    }
    Ok(())
}
