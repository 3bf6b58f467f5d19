//! A `host serve` process for one test, requested over plain HTTP, and a webhook that receives its alerts.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Project, root};

/// The longest time that a test waits for a response, an event or an alert.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server process, killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Serving {
    /// Serves a pipeline on a free port, with further environment variables.
    pub(crate) fn start(project: &Project, pipeline: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_with(project, pipeline, &[], variables)
    }

    /// Same as [`Serving::start`], with further arguments.
    pub(crate) fn start_with(
        project: &Project,
        pipeline: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = project.command(&["serve", pipeline.to_str().expect("a path in UTF-8"), "--port", "0"]);
        command.args(arguments).envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let Some((address, token)) = line.trim().strip_prefix("http://").and_then(|url| url.split_once("/?token="))
        else {
            let mut error = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut error).expect("UTF-8");
            unreachable!("host serve printed `{line}` and {error}");
        };
        Self { address: address.to_owned(), token: token.to_owned(), child }
    }

    /// Connects to the server.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a time");
        stream
    }

    /// Sends a request in HTTP/1.0, so that the response is not chunked.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.0\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).expect("a request");
        stream
    }

    /// Sends a GET request with these headers alone; returns the status and the begin of the response, and keeps the
    /// connection if the status is 200.
    pub(crate) fn first_bytes(&self, path: &str, headers: &[(&str, &str)], open: &mut Vec<TcpStream>) -> (u16, String) {
        let mut stream = self.send("GET", path, headers, "");
        let mut begin = vec![0; 4_096];
        let length = stream.read(&mut begin).expect("a response");
        let begin = String::from_utf8_lossy(&begin[..length]).into_owned();
        let status = begin.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        if status == 200 {
            open.push(stream);
        }
        (status, begin)
    }

    /// Sends a request with these headers alone; returns the whole response.
    pub(crate) fn response(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut answer = String::new();
        self.send(method, path, headers, body).read_to_string(&mut answer).expect("an answer");
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), answer)
    }

    /// Sends a request with the token and these headers; returns the status and the body of the response.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let bearer = self.bearer();
        let (status, answer) = self.response(method, path, &[headers, &[("authorization", &bearer)]].concat(), body);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
    }

    /// The value of the header `Authorization`.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Sends a GET request as a page does; the response must have the status 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.request("GET", path, &[("host", &self.address)], "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Sends a POST request as a page does.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.request("POST", path, &[("host", &self.address), ("x-requested-with", "host")], body)
    }

    /// Starts a run, which must be accepted; returns its id.
    pub(crate) fn run(&self, pipeline: &str, body: &str) -> String {
        let (status, answer) = self.post(&format!("/api/pipelines/{pipeline}/runs"), body);
        assert_eq!(status, 200, "{answer}");
        answer["run"].as_str().expect("an id").to_owned()
    }

    /// Subscribes to events.
    pub(crate) fn listen(&self) -> Events {
        let (host, bearer) = (("host", self.address.as_str()), self.bearer());
        let stream = self.send("GET", "/api/events", &[host, ("authorization", &bearer)], "");
        let mut events = Events { lines: BufReader::new(stream), heard: Vec::new() };
        assert_eq!(events.next().0, "snapshot", "the first event is a snapshot");
        events
    }

    /// Starts a run, waits for its end, and returns its details.
    pub(crate) fn run_to_end(&self, pipeline: &str, body: &str) -> Value {
        let mut events = self.listen();
        let run = self.run(pipeline, body);
        events.end_of(&run);
        self.get(&format!("/api/runs/{run}"))
    }

    /// Kills the process, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A process that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The paths of the API with their methods, as the code declares them, with a name for each placeholder.
pub(crate) fn routes() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for entry in std::fs::read_dir(root().join("host/src/serve/routes")).expect("a folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        for declared in text.split(".route(\"").skip(1) {
            let (path, rest) = declared.split_once("\", ").expect("a path");
            let (method, _) = rest.split_once('(').expect("a method");
            let path = path.replace("{name}", "people").replace("{item}", "people").replace("{drill}", "persons");
            let path = path.replace("{stream}/{key}", "people.people/1").replace("{id}", "01NOSUCHRUN");
            if path.contains('{') {
                assert_eq!(path, "/api/{*rest}", "name the placeholders");
                continue;
            }
            routes.push((method.to_uppercase(), path));
        }
    }
    assert!(routes.len() > 15, "{routes:?}");
    routes
}

/// A stream of events.
pub(crate) struct Events {
    lines: BufReader<TcpStream>,
    pub(crate) heard: Vec<(String, Value)>,
}

impl Events {
    /// The next event: its name and its data.
    pub(crate) fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            let length = self.lines.read_line(&mut line).expect("an event in time");
            assert!(length > 0, "the stream ended after {:#?}", self.heard);
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let event = (name, serde_json::from_str(data).expect("JSON"));
                self.heard.push(event.clone());
                return event;
            }
        }
    }

    /// Waits for the first event for which a condition is true.
    pub(crate) fn until(&mut self, is_it: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next();
            if is_it(&name, &data) {
                return data;
            }
        }
    }

    /// Waits for the end of a run; returns its status.
    pub(crate) fn end_of(&mut self, run: &str) -> String {
        let is_end =
            |data: &Value| !["queued", "running", "stopping"].contains(&data["status"].as_str().expect("a status"));
        let end = self.until(|name, data| name == "run" && data["run"] == run && is_end(data));
        end["status"].as_str().expect("a status").to_owned()
    }
}

/// A webhook.
pub(crate) struct Hook {
    pub(crate) url: String,
    received: Receiver<String>,
    /// Alerts that arrived before the one that a test waited for: alerts of one run come in any order.
    early: RefCell<Vec<Value>>,
}

impl Hook {
    /// Receives alerts. A webhook that hangs never responds, and receives `gone` when its caller closes the connection.
    pub(crate) fn start(path: &str, hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream.expect("a connection"));
                    let (mut length, mut line) = (0, String::new());
                    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                        if let Some((_, value)) = line.to_lowercase().split_once("content-length:") {
                            length = value.trim().parse().expect("a length");
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).expect("a body");
                    // The test may be over.
                    let _ = sender.send(String::from_utf8(body).expect("UTF-8"));
                    if hangs {
                        let _ = stream.read(&mut [0]);
                        let _ = sender.send("gone".to_owned());
                    } else {
                        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        stream.get_mut().write_all(response).expect("a response");
                    }
                });
            }
        });
        Self { url, received, early: RefCell::default() }
    }

    /// The body of the next request.
    pub(crate) fn next(&self) -> String {
        self.received.recv_timeout(TIMEOUT).expect("an alert in time")
    }

    /// Waits for an alert of this kind.
    pub(crate) fn until(&self, alert: &str) -> Value {
        let mut early = self.early.borrow_mut();
        if let Some(at) = early.iter().position(|body| body["alert"] == alert) {
            return early.remove(at);
        }
        loop {
            let body: Value = serde_json::from_str(&self.next()).expect("JSON");
            if body["alert"] == alert {
                return body;
            }
            early.push(body);
        }
    }
}
