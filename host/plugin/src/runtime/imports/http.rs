//! Requests over granted connections.

use futures_util::{StreamExt as _, stream};
use host_core::error::Error;
use tokio::task::JoinSet;
use wasmtime::component::Resource;

use super::Answer;
use crate::http::response::HttpResponse;
use crate::http::{self, Connection, HttpRequest, RequestError, RequestErrorKind, RequestLimits};
use crate::runtime::bindings::source_world::elt::plugin::http as wit_http;
use crate::runtime::bindings::types as wit;
use crate::runtime::limits::{CALL_REQUESTS, CALL_VALUES, HANDLE_BYTES, LimitExceeded};
use crate::runtime::resources::{Responses, SentRequests};
use crate::runtime::state::State;

/// Bytes of a task that sends requests.
const TASK_BYTES: usize = 4096;
/// Bytes of bodies that are searched for values before other work may go on.
const SEARCHED_BYTES: usize = 16 << 20;

impl State {
    fn connection(&self, name: &str) -> Result<Connection, RequestError> {
        self.grants.connections.get(name).cloned().ok_or_else(|| {
            let message = format!("connection `{name}` is not granted");
            let error = RequestError::new(RequestErrorKind::Config, "host", message);
            error.hint(format!("add `connections = {{ {name} = \"{name}\" }}` to the source"))
        })
    }

    /// Counts requests against the limit of the call.
    fn count_requests(&mut self, count: u64) -> Result<(), LimitExceeded> {
        self.requests += count;
        self.call_requests += count;
        if self.call_requests > CALL_REQUESTS { Err(LimitExceeded::Requests) } else { Ok(()) }
    }

    /// Sends requests, some at a time. The responses keep the order of the requests.
    fn send(
        &mut self,
        connection: &str,
        requests: Vec<wit_http::Request>,
    ) -> wasmtime::Result<impl Future<Output = Responses> + use<>> {
        self.count_requests(requests.len() as u64)?;
        let requests: Vec<_> = requests.into_iter().map(lift_request).collect();
        // The requests wait in the host until they are answered.
        let held = self.memory.reserve(requests.iter().map(HttpRequest::bytes).sum())?;
        let connection = self.connection(connection);
        let retry = self.grants.retry.clone();
        let limits = RequestLimits { memory: self.memory.clone(), plugin_delay: self.timer.limit() };
        Ok(async move {
            let _held = held;
            let connection = match connection {
                Ok(connection) => connection,
                Err(error) => return requests.iter().map(|_| Err(error.clone())).collect(),
            };
            let sent = requests.into_iter().map(|request| http::send(&connection, request, &retry, &limits));
            stream::iter(sent).buffered(connection.concurrent_requests()).collect().await
        })
    }

    fn hand_over(&mut self, responses: Responses) -> wasmtime::Result<Vec<Result<Resource<HttpResponse>, wit::Error>>> {
        let mut handles = Vec::with_capacity(responses.len());
        for response in responses {
            handles.push(match response {
                Ok(response) => Ok(self.handles.push(response)?),
                Err(error) => Err(error.into()),
            });
        }
        Ok(handles)
    }
}

fn lift_request(request: wit_http::Request) -> HttpRequest {
    let wit_http::Request { method, path, query, headers, body, bucket } = request;
    HttpRequest { method, path, query, headers, body, bucket }
}

impl wit_http::Host for State {
    async fn fetch(&mut self, conn: String, req: wit_http::Request) -> Answer<Resource<HttpResponse>> {
        let responses = self.send(&conn, vec![req])?;
        let responses = self.timer.exclude(self.memory.while_within(responses)).await?;
        let response = self.hand_over(responses)?.pop();
        Ok(response.unwrap_or_else(|| Err(Error::internal("a request has no response").into())))
    }

    async fn send_all(
        &mut self,
        conn: String,
        reqs: Vec<wit_http::Request>,
    ) -> wasmtime::Result<Resource<SentRequests>> {
        let count = reqs.len() as u64;
        let mut responses = JoinSet::new();
        let handle = self.memory.reserve(HANDLE_BYTES + TASK_BYTES)?;
        responses.spawn(self.send(&conn, reqs)?);
        self.requests_in_flight += count;
        Ok(self.handles.push(SentRequests { responses, count, _handle: handle })?)
    }
}

impl wit_http::HostSent for State {
    async fn answers(
        &mut self,
        this: Resource<SentRequests>,
    ) -> wasmtime::Result<Vec<Result<Resource<HttpResponse>, wit::Error>>> {
        let sent = self.handles.get_mut(&this)?;
        let responses = self.timer.exclude(self.memory.while_within(sent.responses.join_next())).await?;
        self.requests_in_flight -= std::mem::take(&mut sent.count);
        match responses {
            None => Ok(Vec::new()),
            Some(Ok(responses)) => self.hand_over(responses),
            Some(Err(cause)) => Err(wasmtime::Error::msg(format!("the task of a request failed: {cause}"))),
        }
    }

    async fn drop(&mut self, this: Resource<SentRequests>) -> wasmtime::Result<()> {
        self.requests_in_flight -= self.handles.delete(this)?.count;
        Ok(())
    }
}

impl wit_http::HostResponse for State {
    async fn status(&mut self, this: Resource<HttpResponse>) -> wasmtime::Result<u16> {
        Ok(self.handles.get(&this)?.status)
    }

    async fn header(&mut self, this: Resource<HttpResponse>, name: String) -> wasmtime::Result<Option<String>> {
        let headers = &self.handles.get(&this)?.headers;
        Ok(headers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    async fn body(&mut self, this: Resource<HttpResponse>) -> wasmtime::Result<Vec<u8>> {
        let body = &self.handles.get(&this)?.body;
        let copy = self.memory.budget().share(body.len())?;
        let body = body.clone();
        self.keep_copy(copy);
        Ok(body)
    }

    async fn get(
        &mut self,
        this: Resource<HttpResponse>,
        pointers: Vec<String>,
    ) -> wasmtime::Result<Vec<Option<String>>> {
        let mut copy = self.memory.budget().share(0)?;
        let (mut values, mut bytes, mut searched) = (Vec::new(), 0, 0);
        for pointer in &pointers {
            let response = self.handles.get(&this)?;
            let value = response.get(pointer);
            searched += response.body.len();
            let length = HANDLE_BYTES + value.as_ref().map_or(0, String::len);
            bytes += length;
            if bytes > CALL_VALUES {
                return Err(LimitExceeded::Values.into());
            }
            copy.grow_by(length)?;
            values.push(value);
            if searched > SEARCHED_BYTES {
                // The guest's time may run out.
                searched = 0;
                tokio::task::yield_now().await;
            }
        }
        self.keep_copy(copy);
        Ok(values)
    }

    async fn drop(&mut self, this: Resource<HttpResponse>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}
