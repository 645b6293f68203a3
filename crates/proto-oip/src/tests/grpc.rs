use super::House;
use crate::pb;
use crate::pb::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::pb::infer_parameter::ParameterChoice;
use crate::pb::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use bytes::Bytes;
use std::collections::HashMap;
use tonic::transport::Channel;
use tonic::{Code, Request};

async fn client(house: &House) -> GrpcInferenceServiceClient<Channel> {
    let address = house.listen().await;
    GrpcInferenceServiceClient::connect(format!("http://{address}")).await.unwrap()
}

fn request(values: &[f32]) -> pb::ModelInferRequest {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    pb::ModelInferRequest {
        model_name: "adder".into(),
        id: "g1".into(),
        inputs: vec![InferInputTensor {
            name: "X".into(),
            datatype: "FP32".into(),
            shape: vec![i64::try_from(values.len() / 3).unwrap(), 3],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![Bytes::from(raw)],
        ..pb::ModelInferRequest::default()
    }
}

#[tokio::test]
async fn raw_and_typed_contents_are_the_same_request() {
    let house = House::open().await;
    let mut client = client(&house).await;
    let raw = request(&[1.0, 2.0, 3.0]);
    let mut typed = raw.clone();
    typed.raw_input_contents.clear();
    typed.inputs[0].contents =
        Some(pb::InferTensorContents { fp32_contents: vec![1.0, 2.0, 3.0], ..pb::InferTensorContents::default() });
    for sent in [raw, typed] {
        let answer = client.model_infer(sent).await.unwrap();
        let id = answer.metadata().get("mainspring-prediction-id").unwrap().to_str().unwrap().to_owned();
        let answer = answer.into_inner();
        assert_eq!((answer.model_version.as_str(), answer.id.as_str()), ("rev-7", "g1"));
        let told = answer.parameters["prediction_id"].parameter_choice.clone();
        assert_eq!(told, Some(ParameterChoice::StringParam(id)));
        assert_eq!(
            answer.raw_output_contents,
            [Bytes::copy_from_slice(&6.0_f32.to_le_bytes()), Bytes::from_static(b"\x05\0\0\0sum 6")]
        );
    }
    assert_eq!(house.journal().len(), 2);
    assert!(house.journal().iter().all(|(protocol, id, _)| *protocol == "oip-grpc" && id.as_deref() == Some("g1")));
}

#[tokio::test]
async fn requested_outputs_are_selected() {
    let house = House::open().await;
    let mut client = client(&house).await;
    let mut asked = request(&[1.0, 2.0, 3.0]);
    asked.outputs = vec![InferRequestedOutputTensor { name: "words".into(), parameters: HashMap::new() }];
    let answer = client.model_infer(asked.clone()).await.unwrap().into_inner();
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.outputs[0].name, "words");
    let top = pb::InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(1)) };
    asked.outputs[0] =
        InferRequestedOutputTensor { name: "sum".into(), parameters: HashMap::from([("classification".into(), top)]) };
    let answer = client.model_infer(asked.clone()).await.unwrap().into_inner();
    assert_eq!((answer.outputs[0].datatype.as_str(), answer.outputs[0].shape.as_slice()), ("BYTES", &[1, 1][..]));
    assert_eq!(answer.raw_output_contents, [Bytes::from_static(b"\x0a\0\0\x006.000000:0")]);
    asked.outputs[0].name = "none".into();
    assert_eq!(client.model_infer(asked).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn failures_have_the_status_of_their_kind() {
    let house = House::open().await;
    let mut client = client(&house).await;
    let mut cases = Vec::new();
    let mut change = |code, text, edit: &dyn Fn(&mut pb::ModelInferRequest)| {
        let mut message = request(&[1.0, 2.0, 3.0]);
        edit(&mut message);
        cases.push((message, code, text));
    };
    change(Code::NotFound, "there is no deployment \"addr\"", &|m| m.model_name = "addr".into());
    change(Code::NotFound, "does not serve version \"1\"", &|m| m.model_version = "1".into());
    change(Code::Unavailable, "is FAILED", &|m| m.model_name = "broken".into());
    change(Code::InvalidArgument, "needs 12 bytes, got 1", &|m| m.raw_input_contents = vec![Bytes::from_static(b"x")]);
    change(Code::InvalidArgument, "one entry an input", &|m| m.raw_input_contents = vec![Bytes::new(), Bytes::new()]);
    change(Code::InvalidArgument, "inputs[0].shape[0] is -1", &|m| m.inputs[0].shape[0] = -1);
    change(Code::InvalidArgument, "not a v2 datatype", &|m| m.inputs[0].datatype = "float".into());
    change(Code::InvalidArgument, "got both", &|m| {
        m.inputs[0].contents =
            Some(pb::InferTensorContents { fp32_contents: vec![1.0], ..pb::InferTensorContents::default() });
    });
    change(Code::InvalidArgument, "inputs[0].contents[0]: 300 does not fit INT8", &|m| {
        m.raw_input_contents.clear();
        m.inputs[0].datatype = "INT8".into();
        m.inputs[0].contents =
            Some(pb::InferTensorContents { int_contents: vec![300], ..pb::InferTensorContents::default() });
    });
    change(Code::InvalidArgument, "inputs[0] must be given in raw_input_contents", &|m| {
        m.raw_input_contents.clear();
        m.inputs[0].datatype = "FP16".into();
    });
    change(Code::Unimplemented, "shared memory (inputs[0].parameters.shared_memory_region)", &|m| {
        let region = pb::InferParameter { parameter_choice: Some(ParameterChoice::StringParam("r".into())) };
        m.inputs[0].parameters.insert("shared_memory_region".into(), region);
        m.raw_input_contents.clear();
        m.raw_input_contents.extend([Bytes::new(), Bytes::new()]);
    });
    change(Code::InvalidArgument, "parameters.priority must be a whole number", &|m| {
        let high = pb::InferParameter { parameter_choice: Some(ParameterChoice::StringParam("high".into())) };
        m.parameters.insert("priority".into(), high);
    });
    change(Code::Unimplemented, "sequence", &|m| {
        let id = pb::InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(3)) };
        m.parameters.insert("sequence_id".into(), id);
    });
    change(Code::Internal, "the model failed", &|m| {
        m.raw_input_contents = request(&[-2.0, 0.0, 0.0]).raw_input_contents;
    });
    for (message, code, text) in cases {
        let status = client.model_infer(message).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        let ran = text == "the model failed";
        assert!(!ran || status.metadata().get("mainspring-variant").is_some_and(|v| v == "stable"), "{status:?}");
        assert!(status.message().contains(text), "{status}");
    }
    let mut late = request(&[1.0, 2.0, 3.0]);
    let soon = pb::InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(1)) };
    late.parameters.insert("timeout".into(), soon);
    assert_eq!(client.model_infer(late).await.unwrap_err().code(), Code::DeadlineExceeded);
    let mut nobody = Request::new(request(&[1.0, 2.0, 3.0]));
    nobody.metadata_mut().insert("x-role", "none".parse().unwrap());
    assert_eq!(client.model_infer(nobody).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_stream_answers_in_order_and_survives_failures() {
    let house = House::open().await;
    let mut client = client(&house).await;
    let sent = |id: &str, first: f32| pb::ModelInferRequest { id: id.into(), ..request(&[first, 0.0, 0.0]) };
    let messages = [sent("a", 1.0), sent("b", -1.0), sent("c", 3.0)];
    let mut answers = client.model_stream_infer(futures::stream::iter(messages.clone())).await.unwrap().into_inner();
    let mut got = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let response = answer.infer_response.unwrap();
        assert!(response.parameters.contains_key("variant"), "{}", answer.error_message);
        got.push((response.id, answer.error_message, response.parameters.contains_key("triton_final_response")));
    }
    let failed = "the model failed: no such row".to_owned();
    let expected =
        [("a".to_owned(), String::new(), true), ("b".into(), failed, false), ("c".into(), String::new(), true)];
    assert_eq!(got, expected);
    // With this metadata a failure is the stream's status.
    let mut strict = Request::new(futures::stream::iter(messages));
    strict.metadata_mut().insert("triton_grpc_error", "true".parse().unwrap());
    let mut answers = client.model_stream_infer(strict).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn each_answer_of_a_stream_waits_for_the_disk_when_answers_do() {
    let house = House::open().await;
    let word = house.with_disk();
    let mut client = client(&house).await;
    let messages = futures::stream::iter([request(&[1.0, 0.0, 0.0]), request(&[2.0, 0.0, 0.0])]);
    let mut answers = client.model_stream_infer(messages).await.unwrap().into_inner();
    house.handed(2).await;
    // Both are computed; whatever had left on this connection would be here after these.
    for _ in 0..5 {
        client.server_live(pb::ServerLiveRequest {}).await.unwrap();
    }
    assert!(futures::poll!(std::pin::pin!(answers.message())).is_pending(), "an answer left before the disk had it");
    word.send_replace(Some(Ok(())));
    for _ in 0..2 {
        assert_eq!(answers.message().await.unwrap().unwrap().error_message, "");
    }
    word.send_replace(Some(Err(super::full())));
    let refused = client.model_infer(request(&[1.0, 0.0, 0.0])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let mut answers =
        client.model_stream_infer(futures::stream::iter([request(&[1.0, 0.0, 0.0])])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert!(answer.error_message.contains("no space left"), "{}", answer.error_message);
}

#[test]
fn grpc_timeouts_are_read() {
    use crate::grpc::grpc_timeout;
    use std::time::Duration;
    assert_eq!(grpc_timeout("2H"), Some(Duration::from_secs(7200)));
    assert_eq!(grpc_timeout("3M"), Some(Duration::from_secs(180)));
    assert_eq!(grpc_timeout("99999999S"), Some(Duration::from_secs(99_999_999)));
    assert_eq!(grpc_timeout("5m"), Some(Duration::from_millis(5)));
    assert_eq!(grpc_timeout("6u"), Some(Duration::from_micros(6)));
    assert_eq!(grpc_timeout("7n"), Some(Duration::from_nanos(7)));
    for wrong in ["", "5", "m", "5x", "999999999S", "-1S", "5µ"] {
        assert_eq!(grpc_timeout(wrong), None, "{wrong}");
    }
}

#[tokio::test]
async fn every_call_is_routed() {
    let house = House::open().await;
    let mut c = client(&house).await;
    assert!(c.server_live(pb::ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(c.server_ready(pb::ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let ready = |name: &str| pb::ModelReadyRequest { name: name.into(), version: String::new() };
    assert!(c.model_ready(ready("adder")).await.unwrap().into_inner().ready);
    assert!(!c.model_ready(ready("broken")).await.unwrap().into_inner().ready);
    assert!(!c.model_ready(ready("nowhere")).await.unwrap().into_inner().ready);
    let about = c.server_metadata(pb::ServerMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(about.name, "mainspring");
    let asked = pb::ModelMetadataRequest { name: "adder".into(), version: "rev-7".into() };
    let model = c.model_metadata(asked).await.unwrap().into_inner();
    assert_eq!(model.inputs[0].shape, [-1, 3]);
    let asked = pb::ModelConfigRequest { name: "adder".into(), version: String::new() };
    let config = c.model_config(asked).await.unwrap().into_inner().config.unwrap();
    assert_eq!(config.input[0].data_type(), pb::DataType::TypeFp32);
    c.model_infer(request(&[1.0, 2.0, 3.0])).await.unwrap();
    let asked = pb::ModelStatisticsRequest { name: "adder".into(), version: String::new() };
    let stats = c.model_statistics(asked).await.unwrap().into_inner();
    assert_eq!(stats.model_stats[0].inference_count, 1);
    let all = pb::RepositoryIndexRequest { ready: true, ..pb::RepositoryIndexRequest::default() };
    assert_eq!(c.repository_index(all).await.unwrap().into_inner().models.len(), 2);
    let unbuilt = [
        c.repository_model_load(pb::RepositoryModelLoadRequest::default()).await.unwrap_err(),
        c.repository_model_unload(pb::RepositoryModelUnloadRequest::default()).await.unwrap_err(),
        c.system_shared_memory_status(pb::SystemSharedMemoryStatusRequest::default()).await.unwrap_err(),
        c.system_shared_memory_register(pb::SystemSharedMemoryRegisterRequest::default()).await.unwrap_err(),
        c.system_shared_memory_unregister(pb::SystemSharedMemoryUnregisterRequest::default()).await.unwrap_err(),
        c.cuda_shared_memory_status(pb::CudaSharedMemoryStatusRequest::default()).await.unwrap_err(),
        c.cuda_shared_memory_register(pb::CudaSharedMemoryRegisterRequest::default()).await.unwrap_err(),
        c.cuda_shared_memory_unregister(pb::CudaSharedMemoryUnregisterRequest::default()).await.unwrap_err(),
        c.trace_setting(pb::TraceSettingRequest::default()).await.unwrap_err(),
        c.log_settings(pb::LogSettingsRequest::default()).await.unwrap_err(),
    ];
    assert!(unbuilt.iter().all(|s| s.code() == Code::Unimplemented && s.message().contains("is not supported")));
}

#[tokio::test]
async fn health_follows_the_health_protocol() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let house = House::open().await;
    let address = house.listen().await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let ask = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", "inference.GRPCInferenceService"] {
        assert_eq!(client.check(ask(service)).await.unwrap().into_inner().status, 1);
    }
    assert_eq!(client.check(ask("other")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = client.watch(ask("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let mut unknown = client.watch(ask("other")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status, 3);
}

#[tokio::test]
async fn a_model_that_streams_gives_several_responses_a_request() {
    let house = House::open().await;
    let mut client = client(&house).await;
    let sent = |id: &str, first: f32, end: bool| {
        let mut message =
            pb::ModelInferRequest { id: id.into(), model_name: "teller".into(), ..request(&[first, 0.0, 0.0]) };
        let choice = Some(ParameterChoice::BoolParam(true));
        if end {
            message
                .parameters
                .insert("triton_enable_empty_final_response".into(), pb::InferParameter { parameter_choice: choice });
        }
        message
    };
    let messages = [sent("a", 2.0, false), sent("b", 1.0, true), sent("c", 5.0, true), sent("d", 0.0, true)];
    let mut answers = client.model_stream_infer(futures::stream::iter(messages)).await.unwrap().into_inner();
    let mut got = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let response = answer.infer_response.unwrap();
        let last = match response.parameters.get("triton_final_response").and_then(|p| p.parameter_choice.as_ref()) {
            Some(ParameterChoice::BoolParam(last)) => Some(*last),
            _ => None,
        };
        got.push((response.id, response.outputs.len(), last, answer.error_message));
    }
    let part = |id: &str| (id.to_owned(), 1, Some(false), String::new());
    let end = |id: &str| (id.to_owned(), 0, Some(true), String::new());
    let failed = ("c".to_owned(), 0, None, "the model failed: four are too many".to_owned());
    let expected = [part("a"), part("a"), part("b"), end("b"), part("c"), part("c"), part("c"), failed, end("d")];
    assert_eq!(got, expected);
    assert_eq!(house.journal().len(), 4);
    let asked = pb::ModelConfigRequest { name: "teller".into(), version: String::new() };
    let config = client.model_config(asked).await.unwrap().into_inner().config.unwrap();
    assert!(config.model_transaction_policy.unwrap().decoupled);
    // One answer is what a call for one gets.
    let whole = client.model_infer(sent("e", 2.0, false)).await.unwrap().into_inner();
    assert_eq!(whole.outputs.len(), 2);
}

#[tokio::test]
async fn metadata_says_whose_a_request_is_and_which_variant_answered() {
    let house = House::open().await;
    let row = house.rollout("adder").await;
    house.rollout("teller").await;
    let mut client = client(&house).await;
    let with = |key: &'static str, value: &str, message: pb::ModelInferRequest| {
        let mut request = Request::new(message);
        request.metadata_mut().insert(key, value.parse().unwrap());
        request
    };
    for user in ["ann", "bob", "cleo", "dan", "eve"] {
        let variant = row.route.variant(row.route.choose(user.as_bytes()).variant);
        let answer = client.model_infer(with("x-user", user, request(&[1.0, 2.0, 3.0]))).await.unwrap();
        assert_eq!(answer.metadata().get("mainspring-variant").unwrap(), variant);
        for model in ["adder", "teller"] {
            let sent = pb::ModelInferRequest { model_name: model.into(), ..request(&[1.0, 2.0, 3.0]) };
            let mut sent = Request::new(futures::stream::iter([sent]));
            sent.metadata_mut().insert("x-user", user.parse().unwrap());
            let mut answers = client.model_stream_infer(sent).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().infer_response.unwrap();
            let told = answer.parameters["variant"].parameter_choice.clone();
            assert_eq!(told, Some(ParameterChoice::StringParam(variant.into())), "{model}");
        }
    }
    let forced = with("x-mainspring-variant", "v8", request(&[1.0, 2.0, 3.0]));
    assert_eq!(client.model_infer(forced).await.unwrap().into_inner().model_version, "rev-8");
    let unknown = with("x-mainspring-variant", "v9", request(&[1.0, 2.0, 3.0]));
    let why = client.model_infer(unknown).await.unwrap_err();
    assert_eq!((why.code(), why.message().contains("it has stable, v8")), (Code::NotFound, true), "{why}");
}
