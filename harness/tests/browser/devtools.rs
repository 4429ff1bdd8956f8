//! A browser without a window, driven over its own protocol through a pair of pipes, which needs no other program and no port.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use libtest_mimic::Failed;
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};

/// How long the browser may take for one thing, on a machine that does others as well.
const LIMIT: Duration = Duration::from_mins(1);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    orders: File,
    said: mpsc::Receiver<Value>,
    /// What it told of its own accord.
    events: Vec<Value>,
    session: Option<String>,
    number: u64,
}

impl Browser {
    /// Starts it with a profile of its own in a folder, which is to be empty.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self, Failed> {
        let (orders, answers) = (folder.join("orders"), folder.join("answers"));
        for pipe in [&orders, &answers] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        let mut profile = std::ffi::OsString::from("--user-data-dir=");
        profile.push(folder.join("profile"));
        // It reads orders from its descriptor 3 and answers on 4, which only a shell can give it.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                r#"orders=$1 answers=$2; shift 2; exec "$@" 3<"$orders" 4>"$answers""#,
                "sh",
            ])
            .args([&orders, &answers])
            .arg(program)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            .arg(profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("stderr"))?);
        // Chromium refuses to run as root in its sandbox.
        if nix::unistd::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let child = command.spawn()?;
        // In the order in which the shell opens them.
        let orders = File::options().write(true).open(orders)?;
        let answers = BufReader::new(File::open(answers)?);
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                if let Ok(message) = serde_json::from_slice(&message)
                    && tell.send(message).is_err()
                {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            orders,
            said,
            events: Vec::new(),
            session: None,
            number: 0,
        };
        browser.attach().map_err(|failed| {
            let said = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            let why = failed.message().unwrap_or_default();
            Failed::from(format!("{why}; it said: {said}"))
        })?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<(), Failed> {
        let page = self.order("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attached = self.order(
            "Target.attachToTarget",
            &json!({ "targetId": page["targetId"], "flatten": true }),
        )?;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.order(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Gives an order and waits for what came of it.
    pub(crate) fn order(&mut self, method: &str, parameters: &Value) -> Result<Value, Failed> {
        self.number += 1;
        let mut order = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(order.to_string().as_bytes())?;
        self.orders.write_all(&[0])?;
        loop {
            let mut message = self
                .said
                .recv_timeout(LIMIT)
                .map_err(|_| format!("no answer to {method}"))?;
            if message["id"] != self.number {
                self.events.push(message);
            } else if message["error"].is_null() {
                return Ok(message["result"].take());
            } else {
                return Err(format!("{method}: {}", message["error"]).into());
            }
        }
    }

    /// Opens a page and waits until all of it is there.
    pub(crate) fn open(&mut self, page: &Path) -> Result<(), Failed> {
        self.events.clear();
        let url = format!("file://{}", page.display());
        self.order("Page.navigate", &json!({ "url": url }))?;
        while !self.has_told("Page.loadEventFired") {
            let message = self
                .said
                .recv_timeout(LIMIT)
                .map_err(|_| "the page does not load")?;
            self.events.push(message);
        }
        Ok(())
    }

    fn has_told(&self, method: &str) -> bool {
        self.events.iter().any(|event| event["method"] == method)
    }

    /// What the console of the page has: messages, errors, and what the page's own policy has refused.
    pub(crate) fn console(&mut self) -> Result<Vec<String>, Failed> {
        // Whatever it has to say comes before the answer to this.
        self.evaluate("0")?;
        let words = [
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
        ];
        let told = self.events.iter().filter(|event| {
            let method = event["method"].as_str().unwrap_or_default();
            words.contains(&method)
        });
        Ok(told.map(|event| event["params"].to_string()).collect())
    }

    /// The value of an expression on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value, Failed> {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let mut result = self.order("Runtime.evaluate", &parameters)?;
        if result["exceptionDetails"].is_null() {
            return Ok(result["result"]["value"].take());
        }
        Err(result["exceptionDetails"].to_string().into())
    }

    /// Gives the page a window of so many points of its own, each of so many on the screen.
    pub(crate) fn window(&mut self, width: u32, height: u32, scale: u32) -> Result<(), Failed> {
        let window = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        self.order("Emulation.setDeviceMetricsOverride", &window)?;
        Ok(())
    }

    /// Shows it as on a screen or on paper, in light or dark.
    pub(crate) fn media(&mut self, media: &str, scheme: &str) -> Result<(), Failed> {
        let features = [json!({ "name": "prefers-color-scheme", "value": scheme })];
        self.order(
            "Emulation.setEmulatedMedia",
            &json!({ "media": media, "features": features }),
        )?;
        Ok(())
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str, code: u32) -> Result<(), Failed> {
        for kind in ["keyDown", "keyUp"] {
            let key =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.order("Input.dispatchKeyEvent", &key)?;
        }
        Ok(())
    }

    /// Keeps a picture of the whole page for somebody who wants to look at it, in the folder that `BLACKSTART_SCREENSHOTS` names.
    pub(crate) fn picture(&mut self, name: &str) -> Result<(), Failed> {
        let Some(folder) = std::env::var_os("BLACKSTART_SCREENSHOTS") else {
            return Ok(());
        };
        let whole = json!({ "captureBeyondViewport": true });
        let picture = self.order("Page.captureScreenshot", &whole)?;
        let data = decoded(picture["data"].as_str().unwrap_or_default());
        fs::create_dir_all(&folder)?;
        Ok(fs::write(
            Path::new(&folder).join(name).with_extension("png"),
            data,
        )?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.order("Browser.close", &json!({})));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a text in base 64 stands for.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut known) = (Vec::new(), 0_u32, 0);
    let places = text
        .bytes()
        .filter_map(|letter| (0_u32..).zip(LETTERS).find(|(_, known)| **known == letter));
    for (place, _) in places {
        bits = bits << 6 | place;
        known += 6;
        if known >= 8 {
            known -= 8;
            bytes.extend((bits >> known & 0xff).to_le_bytes().first());
        }
    }
    bytes
}
