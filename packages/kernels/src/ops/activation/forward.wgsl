// y = f(x) over a flat array of vec4f; f by KIND:
//   0 relu        max(x, 0)
//   1 relu6       min(max(x, 0), 6)
//   2 leaky-relu  x > 0 ? x : slope * x
//   3 silu        x / (1 + exp(-x))
//   4 hard-swish  x * min(max(x + 3, 0), 6) / 6
// Every f maps 0 to 0, so padded channels stay zero. relu, relu6 and leaky-relu use select rather than max: a NaN stays a
// NaN, and a training that diverged shows.
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

const KIND = 0u;

struct Shape { vectors: u32, share: u32, slope: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn activate(v: vec4f) -> vec4f {
  let zero = vec4f();
  switch KIND {
    case 0u: { return select(v, zero, v <= zero); }
    case 1u: { return select(select(v, zero, v <= zero), vec4f(6.0), v >= vec4f(6.0)); }
    case 2u: { return select(v, shape.slope * v, v <= zero); }
    // exp(88) is the last finite one: below -80 silu is 0 to f32 precision.
    case 3u: { return v / (1.0 + exp(-max(v, vec4f(-80.0)))); }
    default: { return v * clamp(v + 3.0, zero, vec4f(6.0)) / 6.0; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    y[i] = activate(x[i]);
  }
}
