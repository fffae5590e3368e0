# A collective over its sizes: time on the left, bandwidth on the right.
XLABEL = "size (log scale)"
YLABEL = "time (us), log scale"
if (!DUMB) {
    set multiplot
    set rmargin at screen 0.48
}
eval SHOW_NAMES
set xrange [XMIN:XMAX]
set logscale x 2
set logscale y
eval "set xtics (".XTICS.")"
do for [i = 1:|CROSSING| - 1] {
    set arrow 50 + i from CROSSING[i], graph 0 to CROSSING[i], graph 1 nohead lc rgb GREY lw 1 dt 3
}
if (|CROSSING| > 1 && !DUMB) {
    set label 60 CROSSED at CROSSING[1], graph 0.03 offset 0.6, 0 font ",11" tc rgb GREY
}
# The chosen one thick and pale under all algorithms, measured as points, the line dotted; many
# sizes need no points.
MANY = SIZES > 40
shown = "using 2:(column(SHOWN)) with "
all = "DATA index 'chosen' ".shown."lines lw 8 lc rgb PALE title TITLES[1]"
do for [i = 1:|ALGORITHM|] {
    all = all.sprintf(", DATA index '%s' ", ALGORITHM[i]).shown.(MANY ? "lines" : "linespoints").\
        sprintf(" ls %d %s title TITLES[%d]", 11 + i, MANY ? "" : "ps 0.6", 1 + i)
}
if (MEASURED) {
    all = all.", DATA index 'measured' ".shown."points ls 1 ".(MANY ? "ps 0.3" : "").\
        " title TITLES[|TITLES|]"
}
all = all.", DATA index 'line' ".shown."lines lw 1.5 dt 3 lc rgb BLACK title TITLES[|TITLES| - 1]"
array TITLES[3 + |ALGORITHM|]
TITLES[1] = "chosen"
do for [i = 1:|ALGORITHM|] { TITLES[1 + i] = ALGORITHM[i] }
TITLES[2 + |ALGORITHM|] = "alpha + bytes / beta"
TITLES[3 + |ALGORITHM|] = "measured"
if (!DUMB) { set key inside top left vertical maxrows 10 }
SHOWN = 3
eval "plot ".all
if (!DUMB) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    LEFT = 0.5 + LEFT
    set lmargin at screen LEFT
    set rmargin at screen RIGHT
    TITLE = "Bandwidth of the bus"
    YLABEL = "GB/s"
    eval SHOW_NAMES
    unset logscale y
    set yrange [0:*]
    SHOWN = 5
    do for [i = 1:|TITLES|] { TITLES[i] = "" }
    unset label 60
    all = all.", DATA index 'chosen' using 2:4 with lines lc rgb INK lw 1.5 dt 2 title 'algbw'"
    eval "plot ".all
    unset multiplot
}
