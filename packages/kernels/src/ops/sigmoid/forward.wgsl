// y = f(x) over [rows, perRow] vec4f, 0 from channel `channels` on; f by KIND:
//   0 sigmoid       1 / (1 + exp(-x))
//   1 hard-sigmoid  min(max(alpha * x + beta, 0), 1)
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

const KIND = 0u;

struct Shape { vectors: u32, share: u32, perRow: u32, channels: u32, alpha: f32, beta: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn gate(v: vec4f) -> vec4f {
  switch KIND {
    // exp(88) is the last finite one: below -80 the sigmoid is 0 to f32 precision.
    case 0u: { return 1.0 / (1.0 + exp(-max(v, vec4f(-80.0)))); }
    default: { return clamp(shape.alpha * v + shape.beta, vec4f(), vec4f(1.0)); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    let first = 4u * (i % shape.perRow);
    let channel = vec4u(first, first + 1u, first + 2u, first + 3u);
    y[i] = select(vec4f(), gate(x[i]), channel < vec4u(shape.channels));
  }
}
