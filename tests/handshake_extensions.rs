//! RFC 6455 §9.1: the grammar of `Sec-WebSocket-Extensions`.

use proptest::prelude::*;
use sockeye::handshake::{BuildError, Extension, Headers, InvalidExtensions, Request};

/// All the extensions in header fields with these values, as they are written, up to the first error.
fn read(values: &[&str]) -> Result<Vec<String>, InvalidExtensions> {
    let mut headers = Headers::new();
    values.iter().for_each(|value| headers.append("Sec-WebSocket-Extensions", value).unwrap());
    let request = Request::new("GET", "/", headers);
    request.extensions().map(|extension| Ok(extension?.to_extension().to_string())).collect()
}

#[test]
fn the_examples_of_section_9_1_are_read() {
    assert_eq!(read(&["deflate-stream"]).unwrap(), ["deflate-stream"]);
    let mux = read(&["mux; max-channels=4; flow-control, deflate-stream"]).unwrap();
    assert_eq!(mux, ["mux; max-channels=4; flow-control", "deflate-stream"]);
    assert_eq!(read(&["private-extension"]).unwrap(), ["private-extension"]);
}

#[test]
fn several_header_fields_are_one_list() {
    assert_eq!(read(&["foo", "bar; baz=2"]), read(&["foo, bar; baz=2"]));
    assert_eq!(read(&[]).unwrap(), [""; 0]);
}

#[test]
fn a_quoted_value_is_the_token_within() {
    assert_eq!(read(&[r#"a; b="c""#]).unwrap(), ["a; b=c"]);
    assert_eq!(read(&[r#"a; b="c\d\e""#]).unwrap(), ["a; b=cde"]);
    assert_eq!(read(&[r#"a; b="\c", d"#]).unwrap(), ["a; b=c", "d"]);
}

#[test]
fn what_is_quoted_must_be_a_token_all_the_same() {
    for value in
        [r#"a; b="""#, r#"a; b="c d""#, r#"a; b="c,d""#, r#"a; b="c\"d""#, r#"a; b="c"#, r#"a; b="c\"#, "a; b=\"é\""]
    {
        assert_eq!(read(&[value]), Err(InvalidExtensions::default()), "{value}");
    }
}

#[test]
fn whitespace_and_empty_elements_are_passed_over() {
    let read = read(&[",\t a\t;\tb\t=\tc ; d , ,e,"]).unwrap();
    assert_eq!(read, ["a; b=c; d", "e"]);
}

#[test]
fn what_is_not_the_grammar_is_an_error_and_the_end() {
    let wrong =
        ["", " ", ",,", ";", "a;", "a;;b", "a; b=", "a; =b", "a=b", "a b", "a/b", "a; b=c d", "a; b c", "\"a\"", "é"];
    for value in wrong {
        assert_eq!(read(&[value]), Err(InvalidExtensions::default()), "{value:?}");
    }
    let mut headers = Headers::new();
    headers.append("Sec-WebSocket-Extensions", "a, b=c, d").unwrap();
    headers.append("Sec-WebSocket-Extensions", "e").unwrap();
    let request = Request::new("GET", "/", headers);
    let read: Vec<_> = request.extensions().map(|extension| extension.map(|extension| extension.name())).collect();
    assert_eq!(read, [Ok("a"), Err(InvalidExtensions::default())]);
}

#[test]
fn only_tokens_can_be_written() {
    for text in ["", "a b", "a,b", "a;b", "a=b", "\"a\"", "ä"] {
        let error = BuildError::Extension { text: text.into() };
        assert_eq!(Extension::new(text).unwrap_err(), error);
        assert_eq!(Extension::new("a").unwrap().flag(text).unwrap_err(), error);
        assert_eq!(Extension::new("a").unwrap().parameter(text, "b").unwrap_err(), error);
        assert_eq!(Extension::new("a").unwrap().parameter("b", text).unwrap_err(), error);
    }
}

fn extension() -> impl Strategy<Value = Extension> {
    let token = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}";
    (token, prop::collection::vec((token, prop::option::of(token)), 0..4)).prop_map(|(name, parameters)| {
        parameters.into_iter().fold(Extension::new(&name).unwrap(), |extension, (name, value)| match value {
            Some(value) => extension.parameter(&name, &value).unwrap(),
            None => extension.flag(&name).unwrap(),
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(extensions in prop::collection::vec(extension(), 1..5)) {
        let texts: Vec<_> = extensions.iter().map(Extension::to_string).collect();
        prop_assert_eq!(read(&[&texts.join(", ")]).unwrap(), texts.clone());
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        prop_assert_eq!(read(&texts).unwrap(), texts);
    }

    #[test]
    fn every_token_may_be_quoted_and_escaped(value in "[0-9A-Za-z]{1,8}", escaped in prop::collection::vec(any::<bool>(), 8)) {
        let quoted: String = value.chars().zip(escaped)
            .flat_map(|(character, escaped)| escaped.then_some('\\').into_iter().chain([character]))
            .collect();
        prop_assert_eq!(read(&[&format!("a; b=\"{quoted}\"")]).unwrap(), [format!("a; b={value}")]);
    }

    #[test]
    fn arbitrary_text_never_panics_and_what_is_read_can_be_written(text in r#"[a-c;=,"\\ \t]{0,24}"#) {
        if let Ok(extensions) = read(&[&text]) {
            prop_assert_eq!(read(&[&extensions.join(", ")]).unwrap(), extensions);
        }
    }
}
