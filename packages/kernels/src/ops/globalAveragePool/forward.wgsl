// y[n, c] = 1 / P * sum over the P = H * W pixels of x[n, p, c].
//
// x [N, P, V], y [N, V] of vec4f.
// One invocation: one vector of channels of one image, four pixels an iteration. Workgroups may exceed the work.

struct Shape { batch: u32, pixels: u32, vectors: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 8u + lane;
  if (id >= shape.batch * shape.vectors) { return; }
  let n = id / shape.vectors;
  let stride = shape.vectors;
  var i = n * shape.pixels * stride + id - n * stride;
  let end = (n + 1u) * shape.pixels * stride;
  var sum = vec4f();
  for (; i + 3u * stride < end; i += 4u * stride) {
    sum += (x[i] + x[i + stride]) + (x[i + 2u * stride] + x[i + 3u * stride]);
  }
  for (; i < end; i += stride) {
    sum += x[i];
  }
  y[id] = sum / f32(shape.pixels);
}
