//! Header fields: an ordered list out of which no line can break.

use proptest::prelude::*;
use sockeye::handshake::{Headers, InvalidHeader, ServerConfig, ServerHandshake};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    fields.iter().for_each(|(name, value)| headers.append(name, value).unwrap());
    headers
}

#[test]
fn names_are_found_without_regard_to_case_and_values_in_order() {
    let headers = headers(&[("A", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!((headers.get("a"), headers.get("B"), headers.get("c")), (Some("1"), Some("2"), None));
    assert_eq!(headers.get_all("A").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["A", "b", "a"]);
    assert_eq!((headers.len(), headers.is_empty(), headers.contains("B")), (3, false, true));
}

#[test]
fn lists_are_equal_whatever_the_case_of_their_names() {
    assert_eq!(headers(&[("A", "x")]), headers(&[("a", "x")]));
    assert_ne!(headers(&[("A", "x")]), headers(&[("A", "X")]));
    assert_ne!(headers(&[("A", "x"), ("B", "y")]), headers(&[("B", "y"), ("A", "x")]));
    assert_ne!(headers(&[("A", "x")]), headers(&[("A", "x"), ("A", "x")]));
}

#[test]
fn whitespace_around_a_value_is_dropped() {
    assert_eq!(headers(&[("A", " \t x y\t ")]).get("A"), Some("x y"));
    assert_eq!(headers(&[("A", " \t ")]).get("A"), Some(""));
}

#[test]
fn a_value_that_is_no_utf_8_is_there_as_bytes() {
    let mut headers = Headers::new();
    headers.append("A", b"\xff").unwrap();
    assert_eq!((headers.get("A"), headers.get_bytes("A")), (None, Some(&b"\xff"[..])));
}

#[test]
fn a_refused_field_leaves_the_list_as_it_was() {
    let mut headers = headers(&[("A", "x")]);
    for byte in (0..=8).chain(10..32).chain([127]) {
        let error = Err(InvalidHeader::Value { name: "B".into() });
        assert_eq!(headers.append("B", [b'x', byte, b'y']), error, "{byte:#x}");
    }
    for name in ["", "a b", "a:", "a\r\n", "ä", "a\0"] {
        assert_eq!(headers.append(name, "x"), Err(InvalidHeader::Name { name: name.into() }));
    }
    assert_eq!(headers.len(), 1);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        fields in prop::collection::vec(("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", "[\t -~\u{80}-\u{2000}]{0,20}"), 0..20),
    ) {
        let mut headers = Headers::new();
        fields.iter().for_each(|(name, value)| headers.append(name, value).unwrap());
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        headers.write(&mut head);
        head.extend_from_slice(b"\r\n");
        let request = ServerHandshake::new(&ServerConfig::default()).receive(&mut &head[..]).unwrap().unwrap();
        prop_assert_eq!(request.headers(), &headers);
    }
}

#[test]
fn fields_that_were_received_are_written_in_one_way_however_they_came() {
    let expected = "Host: a\r\nx-Empty: \r\nX-List: b,  c\r\n";
    let heads = [
        "Host: a\r\nx-Empty: \r\nX-List: b,  c\r\n",
        "Host:a\r\nx-Empty:\r\nX-List: b,  c\r\n",
        "Host:  a\r\nx-Empty: \t\r\nX-List:\tb,  c \r\n",
        "Host: a \r\nx-Empty: \r\nX-List: b,  c\r\n",
        "Host: a\r\nx-Empty: \r\nX-List: b,  c\t\r\n",
    ];
    for fields in heads {
        let head = format!("GET /chat HTTP/1.1\r\n{fields}\r\n");
        let request = ServerHandshake::new(&ServerConfig::default()).receive(&mut head.as_bytes()).unwrap().unwrap();
        let mut written = Vec::new();
        request.headers().write(&mut written);
        assert_eq!(written.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string(), "{fields:?}");
        let fields: Vec<_> = request.headers().iter().collect();
        assert_eq!(fields, [("Host", &b"a"[..]), ("x-Empty", b""), ("X-List", b"b,  c")]);
    }
}

#[test]
fn what_logs_somebody_in_is_not_printed() {
    let mut headers = Headers::new();
    for name in ["authorization", "COOKIE", "Proxy-Authorization", "Set-Cookie", "X-Other"] {
        headers.append(name, format!("value of {name}")).unwrap();
    }
    let printed = format!("{headers:?}");
    assert!(printed.contains("value of X-Other") && printed.contains("COOKIE"), "{printed}");
    assert_eq!(printed.matches("value of").count(), 1, "{printed}");
}
