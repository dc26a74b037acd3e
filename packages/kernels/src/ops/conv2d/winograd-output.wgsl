// Each 4x4 tile of the result is A^T M A + bias: Winograd's F(4x4, 3x3), points as in winograd.ts.
// M [36][tiles][rows4] from `m_first` of scratch on, planes `m_plane` apart; bias [rows4]; result [N, height, width, rows4],
// as vec4f. The tiles are those of the images from `first_image` on.
// One lane: a column of M, then of the result; 8 lanes, 6 and then 4 of them at work: one tile, all rows. See winograd-input.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape {
  height: u32, width: u32, rows4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, m_first: u32, m_plane: u32, first_image: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;

// The powers 0 to 3 of the points; zeros for the lanes without a column.
const POWERS = array<array<f32, 6>, 4>(
  array(1, 1, 1, 1, 1, 0),
  array(0, A, -A, B, -B, 0),
  array(0, 0.5, 0.5, 2, 2, 0),
  array(0, 0.5 * A, -0.5 * A, 2 * B, -2 * B, 1),
);

// A^T m in one dimension: the sums of m times 1, x, x^2, x^3 over the points x.
fn transform(m: array<vec4f, 6>) -> array<vec4f, 4> {
  let a_even = m[1] + m[2];
  let a_odd = A * (m[1] - m[2]);
  let b_even = m[3] + m[4];
  let b_odd = B * (m[3] - m[4]);
  return array<vec4f, 4>(m[0] + a_even + b_even, a_odd + b_odd, 0.5 * a_even + 2.0 * b_even, 0.5 * a_odd + 2.0 * b_odd + m[5]);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let tile = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = shape.first_image + tile / (shape.tiles_y * shape.tiles_x);
  let oy = 4u * (rest / shape.tiles_x);
  let ox = 4u * (rest % shape.tiles_x) + column;
  let works = column < 6u && tile < shape.tiles;
  let stores = column < 4u && tile < shape.tiles && ox < shape.width;
  let first = shape.m_first + column * shape.m_plane + tile * shape.rows4;
  let out = ((image * shape.height + oy) * shape.width + ox) * shape.rows4;
  let power = POWERS[min(column, 3u)];
  let others = lane - column;
  for (var c = 0u; c < shape.rows4; c++) {
    var m = array<vec4f, 6>();
    for (var y = 0u; y < 6u; y++) { if (works) { m[y] = scratch[first + 6u * y * shape.m_plane + c]; } }
    let half = transform(m);
    let start = select(vec4f(), bias[c], shape.has_bias != 0u);
    for (var y = 0u; y < 4u; y++) {
      var sum = start;
      for (var x = 0u; x < 6u; x++) { sum += power[x] * subgroupShuffle(half[y], others + x); }
      if (stores && oy + y < shape.height) { result[out + y * shape.width * shape.rows4 + c] = sum; }
    }
  }
}
