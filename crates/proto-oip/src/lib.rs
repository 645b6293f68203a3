//! The Open Inference Protocol v2 in Triton's dialect: REST, binary tensors, gRPC, WebSocket.
