//! ONNX Runtime behind the engine port.
