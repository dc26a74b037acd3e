// Adds up the chunks: dbeta = sum d, dgamma = sum d * (x - mean) / deviation, deviation = sqrt(variance + epsilon), and leaves
// what the last pass needs of each channel at the start of scratch: mean, scale = gamma / deviation, beta, dbeta / rows and
// dgamma / (deviation * rows).
//
// scratch: `table` [5, vectors], then [2, chunks, vectors] of sum d and sum d * (x - mean); the other tensors [vectors]; all
// vec4f. Workgroup: 64 / chunkLanes vectors of channels. Lane: every chunkLanes-th chunk of one. Sums over lanes in a fixed tree.
// Precondition: chunkLanes is a power of two, at most 64.

struct Shape { rows: u32, vectors: u32, chunks: u32, chunkLanes: u32, epsilon: f32 }

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
  let vectorLanes = 64u / shape.chunkLanes;
  let chunkLane = lane / vectorLanes;
  let owned = group.x * vectorLanes + lane % vectorLanes;
  let v = min(owned, shape.vectors - 1u); // every lane meets the barriers
  var sum = vec4f();
  var dot = vec4f();
  for (var chunk = chunkLane; chunk < shape.chunks; chunk += shape.chunkLanes) {
    sum += scratch[(TABLE + chunk) * shape.vectors + v];
    dot += scratch[(TABLE + shape.chunks + chunk) * shape.vectors + v];
  }
  sums[lane] = sum;
  dots[lane] = dot;
  for (var half = shape.chunkLanes / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half * vectorLanes) {
      sums[lane] += sums[lane + half * vectorLanes];
      dots[lane] += dots[lane + half * vectorLanes];
    }
  }
  if (chunkLane > 0u || owned >= shape.vectors) { return; }
  let deviation = sqrt(variance[v] + shape.epsilon);
  let dotNormalised = dots[lane] / deviation;
  dbeta[v] = sums[lane];
  dgamma[v] = dotNormalised;
  scratch[v] = mean[v];
  scratch[shape.vectors + v] = gamma[v] / deviation;
  scratch[2u * shape.vectors + v] = beta[v];
  scratch[3u * shape.vectors + v] = sums[lane] / f32(shape.rows);
  scratch[4u * shape.vectors + v] = dotNormalised / deviation / f32(shape.rows);
}
