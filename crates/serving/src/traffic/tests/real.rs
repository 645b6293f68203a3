//! Variants that are real models in ONNX Runtime.

use crate::testing::{Rig, TextEngine, name, named, reweighted, row, shadowed, until};
use crate::{Infer, InferRequest, VariantState};
use mainspring_core::{DType, Tensor};
use mainspring_engine_onnx::OnnxRuntime;
use std::path::Path;
use std::sync::Arc;

fn onnx() -> OnnxRuntime {
    let engine = OnnxRuntime::open(mainspring_testkit::onnxruntime().as_deref(), 0);
    assert!(engine.library().is_ok(), "{:?}: run `make setup` first", engine.library());
    engine
}

#[tokio::test]
async fn a_rollout_of_real_models_goes_from_shadow_to_promotion() {
    let rig = Rig::over(Arc::new(onnx()), TextEngine::default());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine-onnx/tests-data/identity.onnx");
    for version in ["1", "2"] {
        rig.shelf.put(version, "");
        std::fs::copy(&model, rig.shelf.folder.path().join(version).join("model.onnx")).unwrap();
    }
    rig.deploy("m", |_| {}).unwrap();
    assert!(rig.settled("m").await.ready());
    let ask = async |user: u8| {
        let values = vec![f32::from(user), 0.5, -1.0, 2.0];
        let inputs = vec![named("x", Tensor::from_vec(DType::Fp32, vec![1, 4], values.clone()).unwrap())];
        let auth = rig.auth(Infer { deployment: name("m") });
        let request = InferRequest { inputs, ..crate::testing::request(&[]) };
        let answer = rig.serving.infer(&auth, request).await.unwrap();
        assert_eq!(answer.outputs[0].tensor.to_vec::<f32>().unwrap(), values);
        let variant = answer.target.variant.to_string();
        answer.encoded().await.unwrap();
        variant
    };
    let first = shadowed(&row("field:x", &[("1", 100), ("2", 0)]), 100, 4);
    rig.route(Some(first.clone())).unwrap();
    let view = rig.settled("m").await;
    assert_eq!(view.variants[1].state, VariantState::ShadowOnly, "{:?}", view.variants);
    assert_eq!(ask(1).await, "stable");
    until(|| rig.describe("m").unwrap().variants[1].shadow.is_some_and(|s| s.answered == 1)).await;
    let half = mainspring_traffic::Row { shadow: None, ..reweighted(&first, &[50, 50]) };
    rig.route(Some(half.clone())).unwrap();
    for user in 0..20 {
        let variant = half.route.variant(half.route.choose(user.to_string().as_bytes()).variant);
        assert_eq!(ask(user).await, variant, "the first column is the user");
    }
    rig.route(Some(reweighted(&half, &[0, 100]))).unwrap();
    assert_eq!(ask(3).await, "v2");
    let loaded_at = rig.describe("m").unwrap().versions[1].loaded_at;
    rig.shelf.point("2");
    rig.route(None).unwrap();
    let view = rig.settled("m").await;
    let current = view.current().unwrap();
    assert_eq!((&*current.contract.target.version, current.loaded_at), ("2", loaded_at));
    assert_eq!(ask(3).await, "stable");
}
