// y = f(x) over a flat array of vec4f; f by KIND:
//   0 relu, relu6, leaky-relu  x <= 0 ? slope * x : min(x, most), with slope 0 and most infinite unless the name says otherwise
//   1 silu                     x / (1 + exp(-x))
//   2 hard-swish               x * min(max(x + 3, 0), 6) / 6
// Every f maps 0 to 0, so padded channels stay zero. KIND 0 uses select rather than max: a NaN stays a NaN, and a training that
// diverged shows.
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

const KIND = 0u;

struct Shape { vectors: u32, share: u32, slope: f32, most: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn activate(v: vec4f) -> vec4f {
  let zero = vec4f();
  switch KIND {
    case 0u: {
      // slope * x, with 0 for an infinite x where slope is 0.
      let negative = select(shape.slope * v, zero, shape.slope == 0.0);
      return select(select(v, vec4f(shape.most), v >= vec4f(shape.most)), negative, v <= zero);
    }
    // exp(88) is the last finite one: below -80 silu is 0 to f32 precision.
    case 1u: { return v / (1.0 + exp(-max(v, vec4f(-80.0)))); }
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
