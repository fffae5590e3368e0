# Residuals against sizes of messages, with a band for 9 of 10 of each model; beside them by model.
XLABEL = "size (log scale)"
YLABEL = "modelled / measured - 1 (%)"
if (!DUMB) {
    set multiplot
    set rmargin at screen 0.72
}
eval SHOW_NAMES
set logscale x 2
set xrange [XMIN:XMAX]
set yrange [-MOST:MOST]
eval "set xtics (".XTICS.")"
set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb INK
array MODEL_COLOR[4] = [VERMILLION, BLUE, GREEN, PURPLE]
array MODEL_POINT[4] = [6, 7, 9, 4]
SMALL = SIZES > 100 ? 0.35 : 0.8
look(i) = sprintf(" pt MODEL_POINT[%d] ps %g lc rgb MODEL_COLOR[%d]", i, SMALL, i)
lines = ""
do for [i = 1:|SERIES|] {
    if (!DUMB) {
        set object 10 + i rectangle from graph 0, first LOW[i] to graph 1, first HIGH[i] behind \
            fc rgb MODEL_COLOR[i] fs transparent solid 0.12 noborder
    }
    lines = lines.(i > 1 ? ", " : "").sprintf("DATA index '%s' using 2:5 with points", SERIES[i]).\
        look(i).sprintf(" title '%s'", SERIES[i])
}
eval "plot ".lines
if (!DUMB) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    LEFT = 0.72 + LEFT
    set lmargin at screen LEFT
    set rmargin at screen RIGHT
    TITLE = "By model"
    XLABEL = "model, as in the key"
    YLABEL = ""
    eval SHOW_NAMES
    unset key
    unset logscale x
    set xrange [0.4:|SERIES| + 0.6]
    set xtics scale 0 ("" 0)
    # Small sizes on the left of their model, large ones on the right.
    beside(x) = 0.6 * (log(x / XMIN) / log(XMAX / XMIN) - 0.5)
    lines = ""
    do for [i = 1:|SERIES|] {
        set xtics add (sprintf("%d", i) i)
        set object 10 + i rectangle from i - 0.36, LOW[i] to i + 0.36, HIGH[i] behind \
            fc rgb MODEL_COLOR[i] fs transparent solid 0.15 border lc rgb MODEL_COLOR[i]
        set arrow 10 + i from i - 0.36, MEDIAN[i] to i + 0.36, MEDIAN[i] nohead front \
            lc rgb MODEL_COLOR[i] lw 2
        lines = lines.(i > 1 ? ", " : "").sprintf("DATA index '%s' using ", SERIES[i]).\
            sprintf("(%d + beside($2)):5 with points", i).look(i)
    }
    eval "plot ".lines
    unset multiplot
}
