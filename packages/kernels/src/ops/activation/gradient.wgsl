// dx = dy * f'(x) over flat arrays of vec4f; f' by KIND, with the value 0 (leaky-relu: slope) at the kinks' left:
//   0 relu, relu6, leaky-relu  x <= 0 ? slope : x < most ? 1 : 0, with slope and most as in forward.wgsl
//   1 silu                     s * (1 + x * (1 - s)), s = 1 / (1 + exp(-x))
//   2 hard-swish               x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 1/2
// One workgroup: `share` vec4f, a multiple of 64. One invocation: every 64th of them. Workgroups may exceed the work.

const KIND = 0u;

struct Shape { vectors: u32, share: u32, slope: f32, most: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

fn backward(v: vec4f, d: vec4f) -> vec4f {
  let zero = vec4f();
  switch KIND {
    case 0u: {
      let negative = select(shape.slope * d, zero, shape.slope == 0.0);
      return select(select(d, zero, v >= vec4f(shape.most)), negative, v <= zero);
    }
    case 1u: {
      // Beyond +-80 the derivative is 0 or 1 to f32 precision, and exp stays finite.
      let bounded = clamp(v, vec4f(-80.0), vec4f(80.0));
      let s = 1.0 / (1.0 + exp(-bounded));
      return d * s * (1.0 + bounded * (1.0 - s));
    }
    default: {
      let inner = v * (1.0 / 3.0) + 0.5;
      return d * select(select(inner, vec4f(1.0), v >= vec4f(3.0)), zero, v <= vec4f(-3.0));
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * shape.share;
  let end = min(base + shape.share, shape.vectors);
  for (var i = base + lane; i < end; i += 64u) {
    dx[i] = backward(x[i], dy[i]);
  }
}
