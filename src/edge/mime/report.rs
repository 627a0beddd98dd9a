//! What machines send: delivery reports (RFC 3464) and automatic answers, known by their structure
//! and never by their words.

use crate::domain::facts::letter::{DeliveryReport, Fate};
use crate::domain::facts::names::Address;
use crate::domain::facts::outer_view::Shape;
use crate::domain::outgoing::texts::clean_line;

use crate::edge::mime::{Mime, Part};

/// The most of a delivery status that is looked at: a few lines for each recipient.
const STATUS_MAX: usize = 64 * 1024;
/// Where the answer of a calendar program stands, it is among the first parts.
const PARTS_LOOKED_AT: usize = 4;

impl Mime<'_> {
    /// Report or automatic answer, by structure and by the headers that machines set.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let root = self.media(self.root());
        let status = self.children(self.root()).iter().any(|part| is_status(&self.media(*part)));
        let is_report = root == "multipart/report" && status;
        // A report of another kind, or one that lost its form on the way, is a machine's all the
        // same: kept, and never answered.
        let by_form = root == "multipart/report"
            || (root == "multipart/mixed"
                && (status || self.parameter(self.root(), "report-type").is_some()));
        let automatic = self.header("Auto-Submitted").is_some_and(|value| {
            !value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("no")
        });
        // What was there before Auto-Submitted. Not `bulk` or `list`: a report may come over one.
        let automatic = automatic
            || self.header("Precedence").is_some_and(|v| v.eq_ignore_ascii_case("auto_reply"));
        let daemon = |address: Option<&Address>| {
            address.is_some_and(|address| address.local().eq_ignore_ascii_case("mailer-daemon"))
        };
        // What a calendar program answers (RFC 6047, 2.1): nobody wrote it, whoever it names.
        let answers = |part: Part| {
            let method = self.parameter(part, "method");
            self.media(part) == "text/calendar"
                && method.is_some_and(|method| {
                    matches!(method.as_str(), "reply" | "counter" | "refresh")
                })
        };
        let by_form = by_form || self.parts().take(PARTS_LOOKED_AT).any(answers);
        let path = self.return_path();
        let by_daemon =
            daemon(self.from().0.first()) || daemon(path.as_ref().and_then(Option::as_ref));
        match (is_report, automatic || by_form || by_daemon || path == Some(None)) {
            (true, _) => Shape::DeliveryReport,
            (false, true) => Shape::Automatic,
            (false, false) => Shape::Mail,
        }
    }

    /// What a delivery report says became of the mail (RFC 3464, 2.3). Our mails have one recipient
    /// each; where a server further on names several, the worst counts.
    #[must_use]
    pub fn delivery_report(&self) -> Option<DeliveryReport> {
        let parts = self.children(self.root());
        let status = parts.into_iter().find(|part| is_status(&self.media(*part)))?;
        let bytes = self.bytes(status);
        let text = String::from_utf8_lossy(bytes.get(..STATUS_MAX).unwrap_or(&bytes)).into_owned();
        let mut worst: Option<DeliveryReport> = None;
        let (mut fate, mut code) = (None, String::new());
        // A blank line ends the fields of one recipient; one more ends those of the last.
        for line in text.lines().chain([""]) {
            if line.trim().is_empty() {
                if let Some(fate) = fate.take()
                    && worst.as_ref().is_none_or(|worst| worst.fate < fate)
                {
                    worst = Some(DeliveryReport { fate, status: std::mem::take(&mut code) });
                }
                code.clear();
                continue;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if name.eq_ignore_ascii_case("action") {
                fate = Fate::parse(value);
            } else if name.eq_ignore_ascii_case("status") {
                code = status_code(value);
            }
        }
        worst
    }
}

/// `5.1.1` and nothing else of what stands there.
fn status_code(value: &str) -> String {
    let code = value.split_whitespace().next().unwrap_or("");
    let fits = code.len() <= 11 && code.chars().all(|c| c.is_ascii_digit() || c == '.');
    if fits { clean_line(code, 11) } else { String::new() }
}

fn is_status(media: &str) -> bool {
    matches!(media, "message/delivery-status" | "message/global-delivery-status")
}
