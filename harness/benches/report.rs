//! What a report costs: how long it takes to build from a recorded timeline, how large the page is, and how much memory it needs.
//!
//! `cargo bench --bench report` writes the timeline of two runs of `scale-to-zero`, one of 20 minutes sampled every 50 ms and one of 12
//! hours sampled every second, by seven probes each, with a failed sample every now and then. Each is reported by a process of its own.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use blackstart::{history, report, suite};
use tokio::time::Instant;

/// The probes of the environment: the name, what it does in the record, and whether it asks a name server.
const PROBES: [(&str, &str, bool); 7] = [
    (
        "read",
        r#"{"http":{"request":"read","writes":false,"connection":"new","standby":null}}"#,
        false,
    ),
    (
        "keep-alive",
        r#"{"http":{"request":"read","writes":false,"connection":"keep-alive","standby":null}}"#,
        false,
    ),
    (
        "write",
        r#"{"http":{"request":"write","writes":true,"connection":"new","standby":null}}"#,
        false,
    ),
    (
        "standby",
        r#"{"http":{"request":"read","writes":false,"connection":"new","standby":"vm"}}"#,
        false,
    ),
    (
        "authority",
        r#"{"dns":{"view":"authority","server":"authority"}}"#,
        true,
    ),
    (
        "resolver",
        r#"{"dns":{"view":"recursive","server":"resolver"}}"#,
        true,
    ),
    (
        "cached",
        r#"{"dns":{"view":"cached","server":"resolver"}}"#,
        true,
    ),
];

fn main() {
    if let Some(folder) = std::env::var_os("BLACKSTART_BENCH_REPORT") {
        measure(Path::new(&folder));
        return;
    }
    let work = tempfile::tempdir().expect("a folder");
    show("| run | samples | timeline | judged and built in | page | memory at the peak |");
    show("| --- | --: | --: | --: | --: | --: |");
    for (name, length_s, every_s) in [
        ("20 min at 50 ms", 1200.0, 0.05),
        ("12 h at 1 s", 43_200.0, 1.0),
    ] {
        let folder = work.path().join(name.replace(' ', "-"));
        let samples = record(&folder, length_s, every_s).expect("a timeline on disk");
        let size = std::fs::metadata(folder.join(suite::EVENTS))
            .expect("a file")
            .len();
        let output = Command::new(std::env::current_exe().expect("this program"))
            .env("BLACKSTART_BENCH_REPORT", &folder)
            .output()
            .expect("this program again");
        let measured = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        show(&format!(
            "| {name} | {samples} | {} MiB | {measured} |",
            size >> 20
        ));
    }
    trend(&work.path().join("20-min-at-50-ms"), work.path()).expect("a thousand runs on disk");
}

/// How long it takes to count a thousand runs: of the size of a real report, each with its folder.
fn trend(run: &Path, work: &Path) -> std::io::Result<()> {
    let mut report = suite::rebuild(run).expect("a report");
    let reports = work.join("reports");
    let first: jiff::Timestamp = "2026-01-01T03:00:00Z".parse().expect("a time");
    let mut size = 0;
    for number in 0..1000_i64 {
        report.run.started_at = (first + jiff::SignedDuration::from_hours(number)).to_string();
        let folder = reports.join(format!("run-{number:04}"));
        std::fs::create_dir_all(&folder)?;
        let text = report::json::render(&report);
        size += text.len();
        std::fs::write(folder.join("report.json"), text)?;
    }
    let start = Instant::now();
    let history = history::History::of(&reports).expect("runs");
    let trends = history::trends(&history.runs, None);
    let (text, picture) = (
        history::text(&trends, &report::Style::default()),
        history::svg(&trends),
    );
    let took = start.elapsed();
    assert!(
        text.contains("1000") && picture.contains("1000 runs"),
        "{text}"
    );
    show(&format!(
        "\n`trend` over 1,000 runs ({} MiB of report.json): {took:.2?}",
        size >> 20
    ));
    Ok(())
}

/// Builds the files of a recorded run, and prints what that took.
fn measure(folder: &Path) {
    let start = Instant::now();
    let rebuilt = suite::rebuild(folder).expect("a report");
    let judged = start.elapsed();
    let files = report::files(&rebuilt);
    let built = start.elapsed().saturating_sub(judged);
    let (_, page) = files
        .iter()
        .find(|(name, _)| *name == "report.html")
        .expect("a page");
    if let Some(copy) = std::env::var_os("BLACKSTART_BENCH_PAGE") {
        std::fs::write(copy, page).expect("a copy of the page");
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .expect("the peak of the memory");
    show(&format!(
        "{judged:.2?} + {built:.2?} | {} KiB | {} MiB",
        page.len() >> 10,
        peak >> 10
    ));
}

/// Writes the files of a run, and yields how many samples are in it.
fn record(folder: &Path, length_s: f64, every_s: f64) -> std::io::Result<u64> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    std::fs::create_dir_all(folder)?;
    std::fs::copy(
        repository.join("drills/scale-to-zero.yaml"),
        folder.join(suite::DRILL),
    )?;
    std::fs::copy(
        repository.join("fixtures/environments/three-tier.yaml"),
        folder.join(suite::ENVIRONMENT),
    )?;
    let mut file = BufWriter::new(File::create(folder.join(suite::EVENTS))?);
    let probes: Vec<String> = PROBES
        .iter()
        .map(|(name, kind, _)| format!(r#"{{"name":"{name}","kind":{kind},"every":{every_s},"timeout":0.8,"good_within":0.8}}"#))
        .collect();
    writeln!(
        file,
        r#"{{"v":1,"t":0,"type":"run","format_version":"1.0","tool_version":"0.1.0","run_id":"bench","drill":"scale-to-zero","drill_file":"drills/scale-to-zero.yaml","environment":"three-tier","started_at":"2026-11-21T00:00:00Z","command":["blackstart"],"host":"bench","seed":1,"speed":1.0,"tiers":["primary","vm","maintenance"],"probes":[{}],"observers":["health-check"],"faults":[{{"kind":"scale","target":"web","describe":"set replicas to 0 on web","line":8}}]}}"#,
        probes.join(",")
    )?;
    let mut events = vec![
        (0.01, r#""type":"phase","phase":"steady-state""#),
        (length_s * 0.2, r#""type":"phase","phase":"inject""#),
        (length_s * 0.2, r#""type":"fault","id":0,"step":"captured""#),
        (
            length_s * 0.2 + 0.01,
            r#""type":"fault","id":0,"step":"issued""#,
        ),
        (
            length_s * 0.2 + 0.1,
            r#""type":"fault","id":0,"step":"acknowledged""#,
        ),
        (length_s * 0.2 + 0.2, r#""type":"phase","phase":"hold""#),
        (length_s * 0.7, r#""type":"phase","phase":"revert""#),
        (
            length_s * 0.7,
            r#""type":"fault","id":0,"step":"revert-issued""#,
        ),
        (
            length_s * 0.7 + 0.1,
            r#""type":"fault","id":0,"step":"reverted""#,
        ),
        (
            length_s * 0.7 + 0.2,
            r#""type":"fault","id":0,"step":"restored""#,
        ),
        (length_s * 0.7 + 0.3, r#""type":"phase","phase":"failback""#),
        (
            length_s,
            r#""type":"ended","outcome":"completed","clock_drift_ms":0.1"#,
        ),
    ];
    events.reverse();
    let mut samples = 0;
    let mut number = 0_u32;
    loop {
        let at = f64::from(number) * every_s;
        while let Some((when, event)) = events.pop_if(|(when, _)| *when <= at) {
            writeln!(file, r#"{{"v":1,"t":{when:.6},{event}}}"#)?;
        }
        if at >= length_s {
            break;
        }
        for (place, (name, _, dns)) in (0_u32..).zip(&PROBES) {
            let start = at + f64::from(place) * 1e-3;
            // In health, failed from the fault on, then the standby, with a sample now and then that fails in between.
            let down =
                at > length_s * 0.2 && at < length_s * 0.2 + 90.0 || number % 997 == 996 - place;
            let tier = if at > length_s * 0.2 && at < length_s * 0.8 {
                "vm"
            } else {
                "primary"
            };
            let latency = 0.003 + f64::from(number % 17) * 4e-4;
            let seen = match (down, dns) {
                (true, false) => r#""verdict":{"bad":"http5xx"},"status":503"#.to_owned(),
                (true, true) => r#""verdict":{"bad":"dns-timeout"}"#.to_owned(),
                (false, false) => format!(
                    r#""verdict":"good","tier":"{tier}","status":200,"headers":{{"server":"nginx/1.18.0 (Ubuntu)"}},"answers":["petclinic.elb.test","127.62.157.2"],"ttl":60"#
                ),
                (false, true) => format!(
                    r#""verdict":"good","tier":"{tier}","answers":["petclinic.elb.test","127.62.157.2"],"ttl":60"#
                ),
            };
            let end = start + latency;
            writeln!(
                file,
                r#"{{"v":1,"t":{end:.6},"type":"sample","probe":"{name}","seq":{number},"due":{start:.6},"start":{start:.6},"end":{end:.6},{seen}}}"#
            )?;
            samples += 1;
        }
        number += 1;
    }
    file.flush()?;
    Ok(samples)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn show(line: &str) {
    println!("{line}");
}
