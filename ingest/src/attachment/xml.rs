//! As much of XML as text needs: names of elements without prefix, and decoded text.

use std::borrow::Cow;

#[derive(Debug, PartialEq)]
pub(super) enum Event<'a> {
    Start(&'a str),
    /// Also after an empty element.
    End(&'a str),
    Text(Cow<'a, str>),
}

/// Calls `see` for each event from first to last. What is malformed ends the walk quietly.
pub(super) fn walk<'a>(text: &'a str, mut see: impl FnMut(Event<'a>)) {
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        if open > 0 {
            see(Event::Text(decode(&rest[..open])));
        }
        let tag = &rest[open..];
        if let Some(data) = tag.strip_prefix("<![CDATA[") {
            let Some(end) = data.find("]]>") else { return };
            see(Event::Text(Cow::Borrowed(&data[..end])));
            rest = &data[end + 3..];
            continue;
        }
        if let Some(comment) = tag.strip_prefix("<!--") {
            let Some(end) = comment.find("-->") else { return };
            rest = &comment[end + 3..];
            continue;
        }
        let Some(close) = tag.find('>') else { return };
        let inner = &tag[1..close];
        rest = &tag[close + 1..];
        if inner.starts_with(['?', '!']) {
            continue;
        }
        let name = |inner: &'a str| {
            let whole = inner.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
            whole.rsplit(':').next().unwrap_or_default()
        };
        match inner.strip_prefix('/') {
            Some(inner) => see(Event::End(name(inner))),
            None => {
                see(Event::Start(name(inner)));
                if inner.ends_with('/') {
                    see(Event::End(name(inner)));
                }
            }
        }
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find(';').filter(|end| *end < 12) else {
            out.push('&');
            rest = &rest[at + 1..];
            continue;
        };
        let entity = &rest[at + 1..at + end];
        let number =
            entity.strip_prefix("#x").or_else(|| entity.strip_prefix("#X")).map(|n| u32::from_str_radix(n, 16));
        let number = number.or_else(|| entity.strip_prefix('#').map(str::parse));
        match (entity, number) {
            ("amp", _) => out.push('&'),
            ("lt", _) => out.push('<'),
            ("gt", _) => out.push('>'),
            ("quot", _) => out.push('"'),
            ("apos", _) => out.push('\''),
            (_, Some(Ok(code))) => out.extend(char::from_u32(code)),
            _ => {}
        }
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}
