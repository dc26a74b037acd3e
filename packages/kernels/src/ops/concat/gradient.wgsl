// dx[row, c] = dy[row, offset + c] for every channel c, one by one: any offset, any number of channels. dx's padding is zeroed.
// dy: [rows, stride] f32; dx: [rows, perRow] vec4f. One workgroup: `share` vectors of dx, a multiple of 64; one invocation:
// every 64th of them. Workgroups may exceed the work.

struct Shape { vectors: u32, share: u32, perRow: u32, channels: u32, offset: u32, stride: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let row = i / shape.perRow;
    let first = 4u * (i - row * shape.perRow);
    let at = row * shape.stride + shape.offset + first;
    let count = min(4u, shape.channels - first);
    var value = vec4f();
    for (var k = 0u; k < count; k++) {
      value[k] = dy[at + k];
    }
    dx[i] = value;
  }
}
