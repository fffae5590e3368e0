# A map: a cell for each combination, dark where a step is short, hatched where it does not fit.
LONGEST = 0
do for [i = 1:|ROW|] { if (strlen(ROW[i]) > LONGEST) { LONGEST = strlen(ROW[i]) } }
if (!DUMB) {
    LEFT = (40.0 + 7.2 * LONGEST + (YLABEL eq "" ? 0 : 24)) / WIDTH
    TOP = 1 - (strlen(TITLE) > 60 ? 46.0 : 36.0) / HEIGHT
    set tmargin at screen TOP
    set lmargin at screen LEFT
    set rmargin at screen 1 - 130.0 / WIDTH
}
eval SHOW_NAMES
if (!DUMB) { set label 92 YLABEL at screen 16.0 / WIDTH, graph 0.5 center rotate by 90 }
set xrange [-0.5:|COLUMN| - 0.5]
set yrange [-0.5:|ROW| - 0.5]
unset grid
set border 0
unset key
set xtics scale 0 ("" 0)
set ytics scale 0 ("" 0)
do for [i = 1:|COLUMN|] { set xtics add (COLUMN[i] i - 1) }
do for [i = 1:|ROW|] { set ytics add (ROW[i] i - 1) }
# Wong's blue, lighter and lighter; times are told apart by their ratio.
number(x) = sprintf(x < 1000 ? "%.4g" : "%.0f", x)
set palette defined (0 "#003A5D", 1 "#0072B2", 2 "#7FB8DA", 3 "#DCEBF5")
set logscale cb
set cbrange [LEAST:(MOST > LEAST ? MOST : LEAST * 1.01)]
if (!DUMB) { set label 94 "ms" at screen 1 - 96.0 / WIDTH, screen TOP + 12.0 / HEIGHT center }
MIDDLE = sqrt(LEAST * MOST)
set cbtics (number(LEAST) LEAST, number(MIDDLE) MIDDLE, number(MOST) MOST)
set colorbox user origin screen 1 - 104.0 / WIDTH, screen BOTTOM \
    size screen 16.0 / WIDTH, screen TOP - BOTTOM
cell = " using 1:2:($1 - 0.47):($1 + 0.47):($2 - 0.45):($2 + 0.45)"
TALL = |ROW| <= 12
upper = TALL ? 0.2 : 0
says(c) = sprintf(" using 1:($2 + upper):(number($3)) with labels font ',14' tc rgb %s", c)
below(name, c) = !TALL ? "" : \
    sprintf(", DATA index '%s' using 1:($2 - 0.08):4 with labels ", name).\
    sprintf("font ',11' tc rgb %s, DATA index '%s' using 1:($2 - 0.27):5 with labels", c, name).\
    sprintf(" font ',11' tc rgb %s", c)
lines = ""
if (HAS_DARK[1]) {
    lines = lines.", DATA index 'DARK'".cell.":3 with boxxyerror fs solid noborder lc palette".\
        ", DATA index 'DARK'".says("'#FFFFFF'").below("DARK", "'#FFFFFF'")
}
if (HAS_LIGHT[1]) {
    lines = lines.", DATA index 'LIGHT'".cell.":3 with boxxyerror fs solid noborder lc palette".\
        ", DATA index 'LIGHT'".says("INK").below("LIGHT", "INK")
}
if (HAS_LARGE[1]) {
    lines = lines.", DATA index 'LARGE'".cell.\
        " with boxxyerror fc rgb VERMILLION fs pattern 5 border lc rgb VERMILLION".\
        ", DATA index 'LARGE' using 1:2:4 with labels boxed font ',13' tc rgb INK"
}
if (HAS_REFUSED[1]) {
    lines = lines.", DATA index 'REFUSED'".cell.\
        " with boxxyerror fc rgb SHADE fs solid noborder".\
        ", DATA index 'REFUSED' using 1:2:('x') with labels font ',14' tc rgb GREY"
}
if (HAS_OPEN[1]) {
    lines = lines.", DATA index 'OPEN'".cell.\
        " with boxxyerror fc rgb '#FFFFFF' fs solid border lc rgb PALE".\
        ", DATA index 'OPEN' using 1:2:('slower') with labels font ',12' tc rgb GREY"
}
if (MOST <= LEAST) {
    unset colorbox
    unset label 94
}
set style textbox opaque fc rgb "#FFFFFF" noborder margins 2, 2
if (!DUMB) {
    set object 90 rectangle from BEST_COLUMN - 0.47, BEST_ROW - 0.45 \
        to BEST_COLUMN + 0.47, BEST_ROW + 0.45 front fs empty border lc rgb ORANGE lw 4
}
eval "plot ".lines[3:]
