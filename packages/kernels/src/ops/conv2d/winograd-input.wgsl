// V = B^T d B for each 6x6 patch d that feeds a 4x4 tile of the output: Winograd's F(4x4, 3x3), points as in winograd.ts.
// source [N, height, width, depth4], V [36][tiles][depth4] from `v_first` of scratch on, planes `v_plane` apart, as vec4f.
// The tiles are those of the images from `first_image` on. Tile (n, ty, tx) starts at row 4 ty - top, column 4 tx - left; outside the source there are zeros.
// One lane: a column of d, then the same of V; 8 lanes, 6 of them at work: one tile, all channels. A whole patch in one lane
// takes no more loads and stores, but they are more code than the instruction cache holds.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape {
  height: i32, width: i32, depth4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, top: i32, left: i32, v_first: u32, v_plane: u32, first_image: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

// The rows of B^T; two of zeros for the lanes without a column.
const ROWS = array<array<f32, 6>, 8>(
  array(1, 0, -2.5, 0, 1, 0),
  array(0, -2 * A, -2, A, 1, 0),
  array(0, 2 * A, -2, -A, 1, 0),
  array(0, -0.5 * B, -0.5, B, 1, 0),
  array(0, 0.5 * B, -0.5, -B, 1, 0),
  array(0, 1, 0, -2.5, 0, 1),
  array(0, 0, 0, 0, 0, 0),
  array(0, 0, 0, 0, 0, 0),
);

// B^T d in one dimension.
fn transform(d: array<vec4f, 6>) -> array<vec4f, 6> {
  let a_even = d[4] - 2.0 * d[2];
  let a_odd = A * (d[3] - 2.0 * d[1]);
  let b_even = d[4] - 0.5 * d[2];
  let b_odd = B * (d[3] - 0.5 * d[1]);
  return array<vec4f, 6>(
    d[4] - 2.5 * d[2] + d[0], a_even + a_odd, a_even - a_odd, b_even + b_odd, b_even - b_odd, d[5] - 2.5 * d[3] + d[1]);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let tile = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = i32(shape.first_image + tile / (shape.tiles_y * shape.tiles_x));
  let iy = 4 * i32(rest / shape.tiles_x) - shape.top;
  let ix = 4 * i32(rest % shape.tiles_x) - shape.left + i32(column);
  let works = column < 6u && tile < shape.tiles;
  let inside = works && ix >= 0 && ix < shape.width;
  var at: array<i32, 6>;
  for (var y = 0; y < 6; y++) {
    at[y] = select(-1, ((image * shape.height + iy + y) * shape.width + ix) * i32(shape.depth4), inside && iy + y >= 0 && iy + y < shape.height);
  }
  let row = ROWS[column];
  let out = shape.v_first + column * shape.v_plane + tile * shape.depth4;
  let others = lane - column;
  for (var c = 0u; c < shape.depth4; c++) {
    var d = array<vec4f, 6>();
    for (var y = 0; y < 6; y++) { if (at[y] >= 0) { d[y] = source[u32(at[y]) + c]; } }
    let half = transform(d);
    for (var y = 0u; y < 6u; y++) {
      var v = row[0] * subgroupShuffle(half[y], others);
      for (var x = 1u; x < 6u; x++) { v += row[x] * subgroupShuffle(half[y], others + x); }
      if (works) { scratch[out + 6u * y * shape.v_plane + c] = v; }
    }
  }
}
