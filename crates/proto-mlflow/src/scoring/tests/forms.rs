//! The forms of SageMaker's clients, both ways.

use super::*;

#[test]
fn rows_come_as_sagemakers_clients_send_them() {
    let named = wide(columns(&["a", "b"]));
    let read = |media: Media, text: &[u8]| {
        let Body::Scoring(input) = Body::read(media, None, &Bytes::copy_from_slice(text), &named).unwrap() else {
            panic!("a v2 body")
        };
        input.tensors[0].tensor.to_vec::<f32>().unwrap()
    };
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
    npy.resize(127, b' ');
    npy.push(b'\n');
    npy.extend([1.0_f64, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
    for (media, text) in [
        (Media::CsvRows, &b"b,a\n2,1\n4,3\n"[..]),
        (Media::CsvRows, b"1,2\n3,4\n"),
        (Media::JsonRows, b"[[1,2],[3,4]]"),
        (Media::JsonRows, br#"[{"b":2,"a":1},{"a":3,"b":4}]"#),
        (Media::JsonLines, b"{\"a\":1,\"b\":2}\n\n{\"b\":4,\"a\":3}"),
        (Media::JsonLines, b"[1,2]\n[3,4]\n"),
        (Media::JsonLines, b"{\"features\":[1,2]}\n{\"features\":[3,4]}\n"),
        (Media::Npy, &npy),
    ] {
        assert_eq!(read(media, text), [1.0, 2.0, 3.0, 4.0], "{media:?} {}", String::from_utf8_lossy(text));
    }
    let wrong = Body::read(Media::JsonLines, None, &Bytes::from_static(b"[1,2]\n{"), &named).unwrap_err();
    assert!(wrong.to_string().starts_with("line 2 is not JSON"), "{wrong}");
    let bare = Body::read(Media::Json, None, &Bytes::from_static(b"[[1,2]]"), &named);
    assert!(bare.is_err(), "MLflow takes no bare list");
}

#[test]
fn answers_come_in_the_form_that_is_asked_for() {
    let of = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static(text));
        Accepted::of(&headers)
    };
    assert_eq!(Accepted::of(&HeaderMap::new()), Ok(Accepted::Json));
    assert_eq!(of("image/png, text/csv;q=0.5, */*"), Ok(Accepted::Csv));
    assert_eq!(of("*/*"), Ok(Accepted::Json));
    assert_eq!(of("image/png"), Err("image/png".to_owned()));
    let label = Tensor::from_strings(vec![2], vec![Bytes::from("a,\"b\""), Bytes::from("c")]).unwrap();
    let score = Tensor::from_vec(DType::Fp32, vec![2, 2], vec![0.1_f32, 0.9, 1.0, f32::NAN]).unwrap();
    let outputs =
        [NamedTensor { name: "label".into(), tensor: label }, NamedTensor { name: "score".into(), tensor: score }];
    let text = |outputs: &[NamedTensor], accepted| {
        let (media, body) = written(outputs, &wide(None), accepted, true).unwrap();
        (media, String::from_utf8_lossy(&body).into_owned())
    };
    assert_eq!(text(&outputs, Accepted::Csv), ("text/csv", "\"a,\"\"b\"\"\",0.1,0.9\nc,1.0,NaN\n".to_owned()));
    let lines = "{\"label\": \"a,\\\"b\\\"\", \"score\": [0.1, 0.9]}\n{\"label\": \"c\", \"score\": [1.0, NaN]}\n";
    assert_eq!(text(&outputs, Accepted::JsonLines), ("application/jsonlines", lines.to_owned()));
    assert!(written(&outputs, &wide(None), Accepted::Npy, true).unwrap_err().to_string().contains("2 outputs"));
    assert!(written(&outputs[..1], &wide(None), Accepted::Npy, true).unwrap_err().to_string().contains("is text"));
    let (_, npy) = written(&outputs[1..], &wide(None), Accepted::Npy, true).unwrap();
    assert_eq!(npy.len(), 128 + 16);
}
