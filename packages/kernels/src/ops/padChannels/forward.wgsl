// result[row, c] = source[row, c] for the `channels` that both have, and 0 for every other c: y from x, and dx from dy.
// source: [rows, sourceStride] vec4f; result: [rows, stride] vec4f. One workgroup: `share` vectors of the result, a multiple of 64; one
// invocation: every 64th of them. Workgroups may exceed the work.

struct Shape { vectors: u32, share: u32, sourceStride: u32, stride: u32, channels: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let row = i / shape.stride;
    let v = i - row * shape.stride;
    var value = vec4f();
    if (4u * v < shape.channels) {
      let inside = vec4u(4u * v) + vec4u(0u, 1u, 2u, 3u) < vec4u(shape.channels);
      value = select(vec4f(), source[row * shape.sourceStride + v], inside);
    }
    result[i] = value;
  }
}
