// Adds up the chunks: dbeta = sum dy, dgamma = sum dy * xhat.
//
// scratch [2, chunks, vectors] as gradient.statistics.wgsl left it; dgamma, dbeta [vectors] of vec4f.
// Workgroup: one vector of channels. Lane: every 64th chunk. Sums over lanes in a fixed tree.

struct Shape { vectors: u32, chunks: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dgamma: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dbeta: array<vec4f>;

var<workgroup> sums: array<vec4f, 64>;
var<workgroup> dots: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let v = group.x;
  var sum = vec4f();
  var dot = vec4f();
  for (var chunk = lane; chunk < shape.chunks; chunk += 64u) {
    sum += scratch[chunk * shape.vectors + v];
    dot += scratch[(shape.chunks + chunk) * shape.vectors + v];
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
  dbeta[v] = sums[0];
  dgamma[v] = dots[0];
}
