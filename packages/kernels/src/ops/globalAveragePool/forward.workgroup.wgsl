// y[n, c] = 1 / P * sum over the P = H * W pixels of x[n, p, c], a workgroup an image: enough invocations for a GPU.
//
// x [N, P, V], y [N, V] of vec4f.
// Workgroup (n, b): image n (spread over x and y), vectors b * blockVectors on (z). Lane: one vector, every pixelLanes-th
// pixel. The lanes of a vector are added in order. Precondition: pixelLanes * blockVectors <= 64.

struct Shape { batch: u32, pixels: u32, vectors: u32, blockVectors: u32, pixelLanes: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

var<workgroup> sums: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = group.y * groups.x + group.x;
  let pixelLane = lane / shape.blockVectors;
  let v = group.z * shape.blockVectors + lane % shape.blockVectors;
  let owned = n < shape.batch && v < shape.vectors;
  var sum = vec4f();
  if (owned && pixelLane < shape.pixelLanes) {
    for (var p = pixelLane; p < shape.pixels; p += shape.pixelLanes) {
      sum += x[(n * shape.pixels + p) * shape.vectors + v];
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (!owned || pixelLane > 0u) { return; }
  for (var l = 1u; l < shape.pixelLanes; l++) {
    sum += sums[l * shape.blockVectors + lane];
  }
  y[n * shape.vectors + v] = sum / f32(shape.pixels);
}
