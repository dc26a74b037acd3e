// y = keep ? scale * x : 0 over a flat array of vec4f, scale = 1 / (1 - rate). Forward takes x to y, the gradient dy to dx.
// Element 4 i + j is kept where word j of pcg4d(i, step, layer, seed) >= rate * 2^32 (Jarzynski, Olano 2020, "Hash
// Functions for GPU Rendering", section 4): the mask follows from the four numbers alone and is never stored.
//
// source, result: `vectors` vec4f; clock [4] of u32: clock[1] is the training step.
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

struct Shape { vectors: u32, share: u32, threshold: u32, seed: u32, layer: u32, scale: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> source: array<vec4f>;
@group(0) @binding(2) var<storage, read> clock: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;

fn pcg4d(key: vec4u) -> vec4u {
  var v = key * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let step = clock[1];
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let word = pcg4d(vec4u(i, step, shape.layer, shape.seed));
    result[i] = select(shape.scale * source[i], vec4f(), word < vec4u(shape.threshold));
  }
}
