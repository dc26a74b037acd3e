// U = G g G^T for each 3x3 window g of the weights: Winograd's F(4x4, 3x3), points as in winograd.ts.
// weight [F4, 3, 3, C4], U [36][F4][C4] from `u_first` of scratch on, planes `u_plane` apart, as vec4f along the channels;
// with `turned` 1, for the input gradient, the windows turned by 180 degrees.
// One lane: a column of g, then of U; 8 lanes, 3 and then 6 of them at work: one filter, all channels. See winograd-input.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape { filters: u32, channels4: u32, u_first: u32, u_plane: u32, turned: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

// The rows of G: the powers 0 to 2 of a point over the product of its differences from the others; zeros where no column is.
const ROWS = array<array<f32, 3>, 8>(
  array(1, 0, 0),
  array(-1 / 1.5, -A / 1.5, -0.5 / 1.5),
  array(-1 / 1.5, A / 1.5, -0.5 / 1.5),
  array(1.0 / 6, B / 6, 2.0 / 6),
  array(1.0 / 6, -B / 6, 2.0 / 6),
  array(0, 0, 1),
  array(0, 0, 0),
  array(0, 0, 0),
);

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let filter_index = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let loads = column < 3u && filter_index < shape.filters;
  let works = column < 6u && filter_index < shape.filters;
  var at: array<u32, 3>;
  for (var y = 0u; y < 3u; y++) {
    let tap = 3u * y + column;
    at[y] = (filter_index * 9u + select(tap, 8u - tap, shape.turned != 0u)) * shape.channels4;
  }
  let row = ROWS[column];
  let out = shape.u_first + column * shape.u_plane + filter_index * shape.channels4;
  let others = lane - column;
  for (var c = 0u; c < shape.channels4; c++) {
    var g = array<vec4f, 3>();
    for (var y = 0u; y < 3u; y++) { if (loads) { g[y] = weight[at[y] + c]; } }
    for (var y = 0u; y < 6u; y++) {
      let half = ROWS[y][0] * g[0] + ROWS[y][1] * g[1] + ROWS[y][2] * g[2];
      var u = row[0] * subgroupShuffle(half, others);
      for (var x = 1u; x < 3u; x++) { u += row[x] * subgroupShuffle(half, others + x); }
      if (works) { scratch[out + 6u * y * shape.u_plane + c] = u; }
    }
  }
}
