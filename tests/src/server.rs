//! The program under test, started on a free port with a data directory of its own.

use crate::client::Client;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The password of every demo user in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Options {
    pub demo: bool,
    /// Incidents of the demo city.
    pub rows: u64,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
}

impl Options {
    /// A small demo city without live incidents, so that figures stand still.
    pub fn demo(rows: u64) -> Self {
        let set = |name: &str, value: &str| (name.to_string(), value.to_string());
        Self {
            demo: true,
            rows,
            environment: vec![
                set("ZONGLAN_DEMO_LIVE_S", "0"),
                set("ZONGLAN_DEMO_UNTIL", "2026-06-30"),
                // All tests come from one address.
                set("ZONGLAN_LIMITS_LOGINS_PER_MINUTE", "10000"),
                set("ZONGLAN_LIMITS_REQUESTS_PER_SECOND", "10000"),
            ],
            arguments: Vec::new(),
        }
    }

    /// An instance without data.
    pub fn empty() -> Self {
        Self { demo: false, rows: 0, environment: Vec::new(), arguments: Vec::new() }
    }

    pub fn overlay(mut self, folder: &Path) -> Self {
        self.environment.push(("ZONGLAN_OVERLAYS".into(), folder.display().to_string()));
        self
    }
}

/// A running program. Dropping it kills the process as `kill -9` does.
pub struct Server {
    child: Child,
    pub address: String,
    /// What it printed before it was ready, the one-time password among it.
    pub greeting: Vec<String>,
    options: Options,
    dir: Dir,
}

enum Dir {
    Own(TempDir),
    Given(PathBuf),
}

impl Server {
    pub fn start(options: Options) -> Result<Self> {
        let dir = Dir::Own(tempfile::Builder::new().prefix("zonglan-test-").tempdir()?);
        Self::launch(options, dir)
    }

    /// Starts on a data directory that outlives the server.
    pub fn start_in(options: Options, dir: &Path) -> Result<Self> {
        Self::launch(options, Dir::Given(dir.to_path_buf()))
    }

    fn launch(options: Options, dir: Dir) -> Result<Self> {
        let path = match &dir {
            Dir::Own(dir) => dir.path(),
            Dir::Given(path) => path,
        };
        let mut command = Command::new(crate::binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(path);
        if options.demo {
            command
                .arg("--demo")
                .env("ZONGLAN_DEMO_PASSWORD", PASSWORD)
                .env("ZONGLAN_DEMO_ROWS", options.rows.to_string());
        }
        command.args(&options.arguments).envs(options.environment.iter().cloned());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().context("the program does not start")?;
        let (lines, printed) = mpsc::channel();
        let stderr = child.stderr.take().context("stderr is piped")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let log = lines.clone();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| drop(log.send((false, l))))
        });
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|l| drop(lines.send((true, l))))
        });
        let deadline = Instant::now() + Duration::from_secs(240);
        let mut greeting = Vec::new();
        let mut log = Vec::new();
        loop {
            match printed.recv_timeout(Duration::from_millis(200)) {
                Ok((true, line)) => {
                    let address = line.strip_prefix("listening on ").map(str::to_string);
                    greeting.push(line);
                    if let Some(address) = address {
                        // Keep the pipes drained for as long as the program writes.
                        std::thread::spawn(move || printed.iter().for_each(drop));
                        return Ok(Self { child, address, greeting, options, dir });
                    }
                }
                Ok((false, line)) => log.push(line),
                Err(_) if child.try_wait()?.is_some() || Instant::now() > deadline => {
                    drop(child.kill());
                    bail!("the program did not get ready:\n{}\n{}", greeting.join("\n"), log.join("\n"));
                }
                Err(_) => {}
            }
        }
    }

    pub fn data(&self) -> &Path {
        match &self.dir {
            Dir::Own(dir) => dir.path(),
            Dir::Given(path) => path,
        }
    }

    /// A client that nobody is signed in to.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.address)
    }

    /// A client signed in as a demo user.
    pub fn client(&self, user: &str) -> Result<Client> {
        let mut client = self.anonymous();
        client.login(user, PASSWORD)?;
        Ok(client)
    }

    /// Ends the process without any chance to clean up.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end and waits for it.
    pub fn stop(&mut self) -> Result<()> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the program did not stop within 30 s of SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Kills the process if it still runs and starts it again on the same data.
    pub fn restart(mut self) -> Result<Self> {
        drop(self.child.kill());
        self.child.wait()?;
        let options = self.options.clone();
        let dir = std::mem::replace(&mut self.dir, Dir::Given(PathBuf::new()));
        Self::launch(options, dir)
    }

    /// Resident memory of the process in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("the kernel tells VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kilobytes * 1024)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Ends a server that is never dropped once this process is gone.
pub fn end_with_process(server: u32) {
    let tests = std::process::id();
    let script = format!("while kill -0 {tests} 2>/dev/null; do sleep 0.5; done; kill -9 {server} 2>/dev/null");
    drop(
        Command::new("sh")
            .arg("-c")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn(),
    );
}
