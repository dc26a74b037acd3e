// y[row, offset + c] = x[row, c] for every channel c, one by one: any offset, any number of channels. The last input
// also zeroes the `padding` words that y has behind its channels.
// x: [rows, perRow] vec4f; y: [rows, stride] f32. One workgroup: `share` vectors of x, a multiple of 64; one invocation: every
// 64th of them. Workgroups may exceed the work.

struct Shape { vectors: u32, share: u32, perRow: u32, channels: u32, offset: u32, stride: u32, padding: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let row = i / shape.perRow;
    let first = 4u * (i - row * shape.perRow);
    let to = row * shape.stride + shape.offset + first;
    let count = min(4u, shape.channels - first);
    let value = x[i];
    for (var k = 0u; k < count; k++) {
      y[to + k] = value[k];
    }
    if (first + 4u >= shape.channels) {
      for (var k = 0u; k < shape.padding; k++) {
        y[to + count + k] = 0.0;
      }
    }
  }
}
