# Residuals against sizes of messages, with a band for 9 of 10 of each model.
XLABEL = "size (log scale)"
YLABEL = "modelled / measured - 1 (%)"
eval SHOW_NAMES
set logscale x 2
set xrange [XMIN:XMAX]
set yrange [-MOST:MOST]
eval "set xtics (".XTICS.")"
set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb INK
array MODEL_COLOR[4] = [VERMILLION, BLUE, GREEN, PURPLE]
array MODEL_POINT[4] = [6, 7, 9, 4]
lines = ""
do for [i = 1:|SERIES|] {
    if (!DUMB) {
        set object 10 + i rectangle from graph 0, first LOW[i] to graph 1, first HIGH[i] behind \
            fc rgb MODEL_COLOR[i] fs transparent solid 0.12 noborder
    }
    lines = lines.(i > 1 ? ", " : "").sprintf("DATA index '%s' using 2:5 with points", SERIES[i]).\
        sprintf(" pt MODEL_POINT[%d] ps %g lc rgb MODEL_COLOR[%d] title '%s'", \
            i, SIZES > 100 ? 0.35 : 0.8, i, SERIES[i])
}
eval "plot ".lines
