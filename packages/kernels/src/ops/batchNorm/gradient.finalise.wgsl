// Adds up the chunks: dbeta = sum d, dgamma = sum d * (x - mean) / deviation, deviation = sqrt(variance + epsilon), and leaves
// what the last pass needs of each channel at the start of scratch: mean, scale = gamma / deviation, beta, dbeta / rows and
// dgamma / (deviation * rows).
//
// scratch: `table` [5, vectors], then [2, chunks, vectors] of sum d and sum d * (x - mean); the other tensors [vectors]; all
// vec4f. Workgroup: one vector of channels. Lane: every 64th chunk. Sums over lanes in a fixed tree.

struct Shape { rows: u32, vectors: u32, chunks: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dgamma: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dbeta: array<vec4f>;

const TABLE = 5u;

var<workgroup> sums: array<vec4f, 64>;
var<workgroup> dots: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let v = group.x;
  var sum = vec4f();
  var dot = vec4f();
  for (var chunk = lane; chunk < shape.chunks; chunk += 64u) {
    sum += scratch[(TABLE + chunk) * shape.vectors + v];
    dot += scratch[(TABLE + shape.chunks + chunk) * shape.vectors + v];
  }
  sums[lane] = sum;
  dots[lane] = dot;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      sums[lane] += sums[lane + half];
      dots[lane] += dots[lane + half];
    }
  }
  if (lane > 0u) { return; }
  let deviation = sqrt(variance[v] + shape.epsilon);
  let dotNormalised = dots[0] / deviation;
  dbeta[v] = sums[0];
  dgamma[v] = dotNormalised;
  scratch[v] = mean[v];
  scratch[shape.vectors + v] = gamma[v] / deviation;
  scratch[2u * shape.vectors + v] = beta[v];
  scratch[3u * shape.vectors + v] = sums[0] / f32(shape.rows);
  scratch[4u * shape.vectors + v] = dotNormalised / deviation / f32(shape.rows);
}
