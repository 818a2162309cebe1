package head

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gray-runtime/gray/internal/api"
)

const (
	defaultRows = 100
	maxRows     = 10_000
	// maxAsked is how many rows nodes are asked for together whose order or filter only the
	// head knows, though each for leastAsked.
	maxAsked   = 200_000
	leastAsked = 1000
)

// answer filters, sorts and cuts rows and sends them as the state API does.
func answer[T any](w http.ResponseWriter, r *http.Request, rows []T, total int, warnings []string) {
	q := r.URL.Query()
	kept, err := selectRows(rows, q)
	if err != nil {
		bounded(w, r)
		writeJSON(w, http.StatusBadRequest, api.ListResponse[T]{Msg: err.Error()})
		return
	}
	list := &api.List[T]{Total: total, NumAfterTruncation: len(rows), NumFiltered: len(kept), PartialFailureWarning: strings.Join(warnings, "; ")}
	if total > len(rows) && len(kept) == len(rows) {
		list.NumFiltered = total
	}
	kept = kept[min(len(kept), rowOffset(q)):]
	list.Result = kept[:min(len(kept), rowLimit(q))]
	writeList(w, r, list)
}

// answerOf is answer for what rows have yet to be made of: of no more than are wanted, if
// nothing but their number is asked for.
func answerOf[S, T any](w http.ResponseWriter, r *http.Request, all []S, row func(S) T, warnings []string) {
	q := r.URL.Query()
	wanted := all
	if !selective(q) {
		wanted = all[min(len(all), rowOffset(q)):]
		wanted = wanted[:min(len(wanted), rowLimit(q))]
	}
	rows := make([]T, 0, len(wanted))
	for _, x := range wanted {
		rows = append(rows, row(x))
	}
	if selective(q) {
		answer(w, r, rows, len(rows), warnings)
		return
	}
	writeList(w, r, &api.List[T]{
		Total: len(all), NumAfterTruncation: len(all), NumFiltered: len(all), Result: rows, PartialFailureWarning: strings.Join(warnings, "; "),
	})
}

// selective reports whether a query asks for some rows rather than others, or for an order.
func selective(q url.Values) bool {
	return len(q["filter_keys"])+len(q["filter_predicates"])+len(q["filter_values"]) > 0 || q.Get("sort") != "" || q.Get("q") != ""
}

func writeList[T any](w http.ResponseWriter, r *http.Request, list *api.List[T]) {
	bounded(w, r)
	if list.Result == nil {
		list.Result = []T{}
	}
	writeJSON(w, http.StatusOK, api.ListResponse[T]{Result: true, Data: api.ListData[T]{Result: list}})
}

func rowLimit(q url.Values) int {
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n <= 0 {
		return defaultRows
	}
	return min(n, maxRows)
}

func rowOffset(q url.Values) int {
	n, err := strconv.Atoi(q.Get("offset"))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// nodeLimit is how many rows each node is asked for: its first are only then those of the
// answer if nothing but their number is asked for.
func (h *Head) nodeLimit(q url.Values) int {
	if selective(q) {
		return h.nodeShare()
	}
	return min(rowOffset(q)+rowLimit(q), h.nodeShare())
}

// nodeShare is how many rows a node is asked for at most.
func (h *Head) nodeShare() int { return max(leastAsked, maxAsked/max(1, len(h.leader.infos()))) }

// selectRows keeps the rows that fit all filters and the search of a query, and sorts them
// if it says by what.
func selectRows[T any](rows []T, q url.Values) ([]T, error) {
	columns := columnsOf(reflect.TypeFor[T]())
	fits, err := columns.filter(q)
	if err != nil {
		return nil, err
	}
	kept := rows
	if fits != nil {
		kept = nil
		for i := range rows {
			if fits(reflect.ValueOf(&rows[i]).Elem()) {
				kept = append(kept, rows[i])
			}
		}
	}
	by := q.Get("sort")
	if by == "" {
		return kept, nil
	}
	c, err := columns.of("sort column", by)
	if err != nil {
		return nil, err
	}
	type ranked struct { // rows are large, and reading a column of one costs
		row int
		by  reflect.Value
	}
	order := make([]ranked, len(kept))
	for i := range kept {
		order[i] = ranked{i, c.value(reflect.ValueOf(&kept[i]).Elem())}
	}
	sign := 1
	if descending(q) {
		sign = -1
	}
	slices.SortFunc(order, func(a, b ranked) int { return cmp.Or(sign*c.compare(a.by, b.by), a.row-b.row) })
	sorted := make([]T, len(kept))
	for i, x := range order {
		sorted[i] = kept[x.row]
	}
	return sorted, nil
}

func descending(q url.Values) bool { return strings.EqualFold(q.Get("order"), "desc") }

// columnSet is the columns of a kind of rows.
type columnSet struct {
	byName map[string]column
	names  []string
}

// column is a field of a row.
type column struct {
	index int
	text  bool
}

var columnSets sync.Map // of reflect.Type: *columnSet

func columnsOf(t reflect.Type) *columnSet {
	if known, ok := columnSets.Load(t); ok {
		return known.(*columnSet)
	}
	s := &columnSet{byName: map[string]column{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		of := t.Field(i).Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		s.byName[name] = column{i, of.Kind() == reflect.String}
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	columnSets.Store(t, s)
	return s
}

func (s *columnSet) of(what, name string) (column, error) {
	c, known := s.byName[name]
	if !known {
		return c, fmt.Errorf("%s %q isn't a column; columns: %s", what, name, strings.Join(s.names, ", "))
	}
	return c, nil
}

// filter makes a test of a query's filters and its search; nil: every row fits.
func (s *columnSet) filter(q url.Values) (func(row reflect.Value) bool, error) {
	filters, err := filtersOf(q)
	if err != nil {
		return nil, err
	}
	columns := make([]column, len(filters))
	for i, f := range filters {
		if columns[i], err = s.of("filter key", f.Key); err != nil {
			return nil, err
		}
	}
	search := strings.ToLower(q.Get("q"))
	if len(filters) == 0 && search == "" {
		return nil, nil
	}
	return func(row reflect.Value) bool {
		for i, f := range filters {
			if strings.EqualFold(columns[i].string(row), f.Value) != (f.Op == "=") {
				return false
			}
		}
		return search == "" || s.has(row, search)
	}, nil
}

// filtersOf reads a query's filters.
func filtersOf(q url.Values) ([]api.Filter, error) {
	keys, ops, values := q["filter_keys"], q["filter_predicates"], q["filter_values"]
	if len(keys) != len(ops) || len(keys) != len(values) {
		return nil, fmt.Errorf("filters need as many keys as predicates and values")
	}
	filters := make([]api.Filter, len(keys))
	for i, op := range ops {
		if op != "=" && op != "!=" {
			return nil, fmt.Errorf("filter predicate %q: want = or !=", op)
		}
		filters[i] = api.Filter{Key: keys[i], Op: op, Value: values[i]}
	}
	return filters, nil
}

// has reports whether a text of the row contains a lower-case one.
func (s *columnSet) has(row reflect.Value, text string) bool {
	for _, c := range s.byName {
		if c.text && strings.Contains(strings.ToLower(c.string(row)), text) {
			return true
		}
	}
	return false
}

// value is the column's, of a row; not valid for none.
func (c column) value(row reflect.Value) reflect.Value {
	v := row.Field(c.index)
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

// string is the column as a filter's value has it.
func (c column) string(row reflect.Value) string { return textOf(c.value(row)) }

func textOf(v reflect.Value) string {
	switch {
	case !v.IsValid():
		return ""
	case v.Kind() == reflect.String:
		return v.String()
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return string(b)
}

// compare orders values of the column; none comes first.
func (c column) compare(x, y reflect.Value) int {
	switch {
	case !x.IsValid() || !y.IsValid():
		return cmp.Compare(btoi(x.IsValid()), btoi(y.IsValid()))
	case c.text:
		return natural(x.String(), y.String())
	case x.CanInt():
		return cmp.Compare(x.Int(), y.Int())
	case x.CanUint():
		return cmp.Compare(x.Uint(), y.Uint())
	case x.CanFloat():
		return cmp.Compare(x.Float(), y.Float())
	}
	return cmp.Compare(textOf(x), textOf(y))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// natural compares texts so that n9 comes before n10.
func natural(a, b string) int {
	for a != "" && b != "" {
		i, j := digits(a), digits(b)
		if i == 0 || j == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
