# Laws of scaling: curves through throughputs, dotted beyond the data; beside them their errors.
XLABEL = RANKS." (log scale)"
YLABEL = "throughput (".UNIT."), log scale"
if (!DUMB) {
    set multiplot
    set rmargin at screen 0.55
    set key inside bottom right vertical maxrows 9
}
eval SHOW_NAMES
set logscale x 2
set logscale y
set xrange [XMIN:XMAX]
if (!DUMB) {
    set object 93 rectangle from MOST, graph 0 to XMAX, graph 1 behind fc rgb SHADE \
        fs solid noborder
    set label 93 "extrapolated" at MOST, graph 0.97 offset 0.6, 0 font ",11" tc rgb GREY
}
array LAW_COLOR[3] = [BLUE, GREEN, VERMILLION]
array LAW_WIDTH[3] = [4, 2, 1.5]
array LAW_DASH[3] = [1, 2, 4]
lines = ""
do for [i = 1:|LAW|] {
    n = COLUMN[i] - 3
    colored = sprintf(" with lines lc rgb LAW_COLOR[%d]", n)
    lines = lines.(i > 1 ? ", " : "").\
        sprintf("DATA index '%s' using 2:($3 / SCALE)", LAW[i]).colored.\
        sprintf(" lw LAW_WIDTH[%d] dt %d title '%s', ", n, LAW_DASH[n], LAW[i]).\
        sprintf("DATA index 'beyond %s' using 2:($3 / SCALE)", LAW[i]).colored.\
        " lw 1.5 dt 3 notitle"
}
POINTS = ", DATA index SERIES using 2:($3 / SCALE) with points pt 7 ps 0.8 lc rgb INK title SERIES"
eval "plot ".lines.POINTS
if (!DUMB) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    unset object 93
    unset label 93
    LEFT = 0.55 + LEFT
    set lmargin at screen LEFT
    set rmargin at screen RIGHT
    unset key
    unset logscale y
    TITLE = "Errors"
    YLABEL = "law / ".SERIES." - 1 (%)"
    eval SHOW_NAMES
    set xrange [XMIN:MOST * 1.3]
    set yrange [-ERROR_MOST:ERROR_MOST]
    set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb INK
    lines = ""
    do for [i = 1:|LAW|] {
        n = COLUMN[i] - 3
        lines = lines.(i > 1 ? ", " : "").sprintf("DATA index SERIES using 2:%d", COLUMN[i]).\
            sprintf(" with points pt %d ps %g", n == 1 ? 7 : n == 2 ? 9 : 6, n == 3 ? 1.3 : 0.8).\
            sprintf(" lc rgb LAW_COLOR[%d]", n)
    }
    eval "plot ".lines
    unset multiplot
}
