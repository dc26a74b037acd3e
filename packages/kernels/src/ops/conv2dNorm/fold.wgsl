// The batch-norm behind a convolution as a factor and a term for each filter: factor[f] = gamma / sqrt(variance + epsilon) and
// term[f] = beta + (bias - mean) factor. One invocation: 4 filters. Excess invocations return.
// gamma, beta, mean, variance, bias [F4]; folded [2, F4], the terms and then the factors; all as vec4f.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place. Of padding gamma, beta and bias are 0, and so are both.

struct Shape { filters4: u32, has_bias: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(2) var<storage, read> beta: array<vec4f>;
@group(0) @binding(3) var<storage, read> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read> variance: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> folded: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let f = id.x;
  if (f >= shape.filters4) { return; }
  let factor = gamma[f] / sqrt(variance[f] + shape.epsilon);
  let start = select(vec4f(), bias[f], shape.has_bias != 0u);
  folded[f] = beta[f] + (start - mean[f]) * factor;
  folded[shape.filters4 + f] = factor;
}
