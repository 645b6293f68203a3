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

fn sent(media: Media, text: &str, contract: &Contract) -> Result<Vec<f32>, String> {
    match Body::read(media, None, &Bytes::copy_from_slice(text.as_bytes()), contract).map_err(|e| e.to_string())? {
        Body::Scoring(input) => Ok(input.tensors.iter().flat_map(|t| t.tensor.to_vec::<f32>().unwrap()).collect()),
        Body::V2(_) => panic!("a v2 body"),
    }
}

#[test]
fn csv_without_a_header_is_told_from_mlflows() {
    let named = wide(columns(&["age", "income"]));
    let read = |text: &str| sent(Media::CsvEither, text, &named);
    let rows = vec![1.0, 2.0, 3.0, 4.0];
    for text in [
        "1,2\n3,4\n",
        "1.0,2.0\r\n3.0,4.0",
        "\u{feff}1,2\n3,4\n",
        "income,age\n2,1\n4,3\n",
        "\"age\",income\n1,2\n3,4\n",
        ",age,income\n0,1,2\n1,3,4\n",
    ] {
        assert_eq!(read(text), Ok(rows.clone()), "{text}");
    }
    assert!(read(",2\n").unwrap()[0].is_nan());
    let takes = "the model takes 2 columns: \"age\", \"income\"";
    assert_eq!(read("1,2,3\n"), Err(format!("the first line has 3 fields without names, and {takes}")));
    assert_eq!(
        sent(Media::CsvPlain, "1\n", &named),
        Err(format!("the first line has 1 fields without names, and {takes}"))
    );
    let neither = read("ages,incomes\n1,2\n").unwrap_err();
    assert_eq!(
        neither,
        format!(
            "the first line has none of the names of the model's columns, and is no row: column \"age\" is double, \
             and it has \"ages\"; {takes}, with a header or without"
        )
    );
    // pandas counts columns without names. Of three or more no row is taken for that by chance, or for a row.
    let three = contract(vec![spec("x", DType::Fp32, &[-1, 3])], columns(&["a", "b", "c"]));
    let unclear = sent(Media::CsvEither, "0,1,2\n5,6,7\n", &three).unwrap_err();
    assert!(unclear.contains("counts the columns") && unclear.contains("header=absent"), "{unclear}");
    assert_eq!(sent(Media::CsvPlain, "0,1,2\n", &three), Ok(vec![0.0, 1.0, 2.0]));
    assert_eq!(sent(Media::CsvEither, "0,1,3\n", &three), Ok(vec![0.0, 1.0, 3.0]));
    assert_eq!(read("0,1\n"), Ok(vec![0.0, 1.0]));
    assert!(read("age,incme\n1,2\n").unwrap_err().contains("the request has \"incme\""));
    assert!(read("").is_err() && sent(Media::CsvPlain, "", &named).unwrap_err().contains("no rows"));
    // What the content type says holds.
    assert_eq!(sent(Media::CsvPlain, "1,2\n3,4\n", &named), Ok(rows));
    assert!(sent(Media::CsvPlain, "age,income\n1,2\n", &named).is_err());
    assert!(sent(Media::Csv, "1,2\n3,4\n", &named).unwrap_err().contains("\"age\" is missing"));
}

#[test]
fn csv_for_a_model_without_names_has_a_header_unless_it_says_otherwise() {
    let bare = wide(None);
    for text in ["a,b\n1,2\n", "0,1\n1,2\n", "a,7\n1,2\n"] {
        assert_eq!(sent(Media::CsvEither, text, &bare), Ok(vec![1.0, 2.0]), "{text}");
    }
    for text in ["5.1,3.5\n1,2\n", "3,\n1,2\n"] {
        let unclear = sent(Media::CsvEither, text, &bare).unwrap_err();
        assert!(unclear.contains("header=absent"), "{text}: {unclear}");
    }
    assert_eq!(sent(Media::CsvPlain, "1,2\n3,4\n", &bare), Ok(vec![1.0, 2.0, 3.0, 4.0]));
    // Inputs of their own have names.
    let two = contract(vec![spec("age", DType::Fp32, &[-1, 1]), spec("income", DType::Fp32, &[-1, 1])], None);
    for text in ["1,2\n3,4\n", "income,age\n2,1\n4,3\n"] {
        assert_eq!(sent(Media::CsvEither, text, &two), Ok(vec![1.0, 3.0, 2.0, 4.0]), "{text}");
    }
}

#[test]
fn a_bare_list_is_rows_and_of_values_one_row() {
    let named = wide(columns(&["a", "b"]));
    let bare = wide(None);
    let two = contract(vec![spec("a", DType::Fp32, &[-1, 1]), spec("b", DType::Fp32, &[-1, 1])], None);
    for (model, rows) in [(&named, [1.0, 2.0, 3.0, 4.0]), (&bare, [1.0, 2.0, 3.0, 4.0]), (&two, [1.0, 3.0, 2.0, 4.0])] {
        assert_eq!(sent(Media::JsonRows, "[[1,2],[3,4]]", model), Ok(rows.to_vec()));
        assert_eq!(sent(Media::JsonRows, "[1,2]", model), Ok(vec![1.0, 2.0]));
    }
    for (model, shape) in [(&named, vec![1, 2]), (&bare, vec![1, 2]), (&two, vec![1, 1])] {
        let Body::Scoring(read) = Body::read(Media::JsonRows, None, &Bytes::from_static(b"[1,2]"), model).unwrap()
        else {
            panic!("a v2 body")
        };
        assert_eq!(read.tensors[0].tensor.shape(), shape);
    }
    let takes = "the model takes 2 columns: \"a\", \"b\"";
    for model in [&named, &two] {
        let read = |text: &str| sent(Media::JsonRows, text, model);
        assert_eq!(read("[1,2,3]"), Err(format!("the list has 3 values, and {takes}")));
        assert_eq!(read("[[1,2],[3]]"), Err(format!("row 1 of the list has 1 values, and {takes}")));
    }
    // Where a row is one value, so many values are so many rows.
    let narrow = contract(vec![spec("x", DType::Fp32, &[-1, 1])], columns(&["x"]));
    assert_eq!(sent(Media::JsonRows, "[1,2,3]", &narrow), Ok(vec![1.0, 2.0, 3.0]));
    // MLflow's forms are what they were.
    assert_eq!(sent(Media::JsonRows, r#"{"inputs":[[1,2]]}"#, &named), Ok(vec![1.0, 2.0]));
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
