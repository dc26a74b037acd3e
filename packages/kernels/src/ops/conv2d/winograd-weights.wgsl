// U = G g G^T for each 3x3 window g of the weights: Winograd's F(2x2, 3x3), Lavin and Gray 2015, section 4.1.
// weight [F4, 3, 3, C4] in words. U [16][rows][depth4] as vec4f from `u_first` of scratch on, planes `u_plane` apart:
//   forward (transposed 0): rows = filters, depth = channels
//   input gradient (transposed 1): rows = channels, depth = filters, windows turned by 180 degrees
// One invocation: 4 neighbours along the depth of one row. Excess invocations return.

struct Shape { channels4: u32, rows: u32, depth4: u32, u_first: u32, u_plane: u32, transposed: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

fn load(row: u32, depth: u32, tap: u32) -> f32 {
  if (shape.transposed == 0u) { return weight[(row * 9u + tap) * shape.channels4 * 4u + depth]; }
  return weight[(depth * 9u + 8u - tap) * shape.channels4 * 4u + row];
}

fn load4(row: u32, d: u32, tap: u32) -> vec4f {
  return vec4f(load(row, 4u * d, tap), load(row, 4u * d + 1u, tap), load(row, 4u * d + 2u, tap), load(row, 4u * d + 3u, tap));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.rows * shape.depth4) { return; }
  var half: array<array<vec4f, 3>, 4>; // G g
  for (var column = 0u; column < 3u; column++) {
    let g0 = load4(i / shape.depth4, i % shape.depth4, column);
    let g1 = load4(i / shape.depth4, i % shape.depth4, column + 3u);
    let g2 = load4(i / shape.depth4, i % shape.depth4, column + 6u);
    half[0][column] = g0;
    half[1][column] = 0.5 * (g0 + g1 + g2);
    half[2][column] = 0.5 * (g0 - g1 + g2);
    half[3][column] = g2;
  }
  for (var r = 0u; r < 4u; r++) {
    let out = shape.u_first + 4u * r * shape.u_plane + i;
    scratch[out] = half[r][0];
    scratch[out + shape.u_plane] = 0.5 * (half[r][0] + half[r][1] + half[r][2]);
    scratch[out + 2u * shape.u_plane] = 0.5 * (half[r][0] - half[r][1] + half[r][2]);
    scratch[out + 3u * shape.u_plane] = half[r][2];
  }
}
