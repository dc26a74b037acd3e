// y = f((x - mean) / sqrt(variance + epsilon) * gamma + beta + residual), per channel; f is ReLU or the identity. Otherwise as
// apply.wgsl.
//
// x, residual, y [rows, vectors]; gamma, beta, mean, variance [vectors]; all vec4f. `relu` is 0 or 1.
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Precondition: rowLanes * blockVectors <= 64.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, relu: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> residual: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  if (rowLane >= shape.rowLanes || v >= shape.vectors) { return; }
  let m = mean[v];
  let scale = gamma[v] / sqrt(variance[v] + shape.epsilon);
  let offset = beta[v];
  let relu = vec4<bool>(shape.relu != 0u);
  let start = group.x * shape.chunkRows;
  let end = min(start + shape.chunkRows, shape.rows) * shape.vectors;
  for (var i = (start + rowLane) * shape.vectors + v; i < end; i += shape.rowLanes * shape.vectors) {
    let value = (x[i] - m) * scale + offset + residual[i];
    y[i] = select(value, vec4f(), relu & (value <= vec4f()));
  }
}
