//! How slow and how bad the service is.

/// How slow and how bad the service is. The chances are in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimOptions {
    /// The seed of all chances.
    pub seed: u64,
    /// The shortest and the longest time that a request is under way, in microseconds.
    pub request_micros: (u64, u64),
    /// The shortest and the longest time that an answer is under way, in microseconds.
    pub answer_micros: (u64, u64),
    /// Microseconds after which a writer gives up waiting for an answer: the outcome is unknown to it.
    pub timeout_micros: u64,
    /// Requests that are lost.
    pub lost_requests: u64,
    /// Requests that arrive after the writer has given up waiting.
    pub late_requests: u64,
    /// Answers that are lost.
    pub lost_answers: u64,
    /// Answers that come after the writer has given up waiting.
    pub late_answers: u64,
    /// Answers that come twice.
    pub double_answers: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            request_micros: (0, 0),
            answer_micros: (0, 0),
            timeout_micros: 1_000_000,
            lost_requests: 0,
            late_requests: 0,
            lost_answers: 0,
            late_answers: 0,
            double_answers: 0,
        }
    }
}

impl SimOptions {
    /// A sound service whose answers come after about so many microseconds, a fifth of them jitter.
    pub fn round_trip(micros: u64) -> Self {
        let way = (micros * 2 / 5, micros * 3 / 5);
        Self { request_micros: way, answer_micros: way, ..Self::default() }
    }
}

/// What can be made to happen to a batch that is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimFault {
    /// The request is lost.
    LostRequest,
    /// The request arrives after the writer has given up waiting.
    LateRequest,
    /// The batch is kept and the answer lost.
    LostAnswer,
    /// The batch is kept and the answer comes after the writer has given up waiting.
    LateAnswer,
    /// The answer comes twice.
    DoubleAnswer,
}
