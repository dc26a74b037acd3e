// Each 4x4 tile of the result is g(A^T M A): Winograd's F(4x4, 3x3), points as in winograd.ts. g(s) = s factor[f] + term[f], behind
// it the ReLU if `relu`; then the largest of each 2x2 pixels if `side` is 2, not 1.
// M [36][tiles][rows4] from `m_first` of scratch on, planes `m_plane` apart; result [N, height / side, width / side, rows4], as
// vec4f. The tiles are those of the images from `first_image` on.
// `has` 1: the terms are `terms` [rows4]. `has` 2: terms and factors are at the start of scratch, [rows4] each. `has` 0: neither.
// For 0 and 2 any buffer may stand in the place of `terms`.
// One lane: a column of M, then of the result; 8 lanes, 6 and then 4 of them at work: one tile, all rows. See winograd-input.
// Preconditions: the subgroup size is SUBGROUP, a multiple of 8.
enable subgroups;

const SUBGROUP = 8u;
const A = 0.70710678118654752; // the points are 0, A, -A, B, -B and infinity
const B = 1.41421356237309505;

struct Shape {
  height: u32, width: u32, rows4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, m_first: u32, m_plane: u32, first_image: u32,
  has: u32, relu: u32, side: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read> terms: array<vec4f>;
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

// g of a pixel's sums.
fn finish(sum: vec4f, factor: vec4f, term: vec4f) -> vec4f {
  let value = sum * factor + term;
  return select(value, vec4f(), vec4<bool>(shape.relu != 0u) & (value <= vec4f()));
}

// The larger one; a NaN wins, told by its bits as a compiler may take `v != v` for false.
fn larger(a: vec4f, b: vec4f) -> vec4f {
  let nan = (bitcast<vec4u>(b) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return select(a, b, (b > a) | nan);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let column = lane % 8u;
  let tile = ((group.y * groups.x + group.x) * SUBGROUP + lane) / 8u;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = shape.first_image + tile / (shape.tiles_y * shape.tiles_x);
  // The lane's first pixel of the result; pooled, that of the 2x2 pixels whose left column is the lane's.
  let oy = 4u / shape.side * (rest / shape.tiles_x);
  let ox = (4u * (rest % shape.tiles_x) + column) / shape.side;
  let height = shape.height / shape.side;
  let width = shape.width / shape.side;
  let works = column < 6u && tile < shape.tiles;
  let stores = column < 4u && column % shape.side == 0u && tile < shape.tiles && ox < width;
  let first = shape.m_first + column * shape.m_plane + tile * shape.rows4;
  let out = ((image * height + oy) * width + ox) * shape.rows4;
  let power = POWERS[min(column, 3u)];
  let others = lane - column;
  for (var c = 0u; c < shape.rows4; c++) {
    var m = array<vec4f, 6>();
    for (var y = 0u; y < 6u; y++) { if (works) { m[y] = scratch[first + 6u * y * shape.m_plane + c]; } }
    let half = transform(m);
    var factor = vec4f(1.0);
    var term = vec4f();
    if (shape.has == 1u) { term = terms[c]; }
    if (shape.has == 2u) {
      term = scratch[c];
      factor = scratch[shape.rows4 + c];
    }
    var values = array<vec4f, 4>();
    for (var y = 0u; y < 4u; y++) {
      var sum = vec4f();
      for (var x = 0u; x < 6u; x++) { sum += power[x] * subgroupShuffle(half[y], others + x); }
      values[y] = finish(sum, factor, term);
    }
    if (shape.side == 2u) {
      for (var y = 0u; y < 2u; y++) {
        let pair = larger(values[2u * y], values[2u * y + 1u]);
        values[y] = larger(pair, subgroupShuffle(pair, others + (column + 1u) % 8u));
      }
    }
    for (var y = 0u; y < 4u; y++) {
      if (stores && y < 4u / shape.side && oy + y < height) { result[out + y * width * shape.rows4 + c] = values[y]; }
    }
  }
}
