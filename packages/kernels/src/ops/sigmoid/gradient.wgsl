// dx = dy * f'(x) from y = f(x), over flat arrays of vec4f; padded channels have y = 0 and so dx = 0; f' by KIND:
//   0 sigmoid       y * (1 - y)
//   1 hard-sigmoid  0 < y < 1 ? alpha : 0
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

const KIND = 0u;

struct Shape { vectors: u32, share: u32, perRow: u32, channels: u32, alpha: f32, beta: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let value = y[i];
    var slope = value * (1.0 - value);
    if (KIND == 1u) {
      slope = select(vec4f(), vec4f(shape.alpha), (value > vec4f()) & (value < vec4f(1.0)));
    }
    dx[i] = dy[i] * slope;
  }
}
