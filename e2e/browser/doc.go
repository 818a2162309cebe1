// Package browser tests the dashboard as people use it: real Chromium, driven over its
// debugging protocol, on a live cluster of two nodes with a job that has something of
// everything. Each page has to show what gray's --json and the API say, without an error
// on its console and without a request to anything but the head.
//
// It imports nothing of the module. Where there is no Chromium it is skipped, except in
// CI (GRAY_CI=1). Screenshots go to -screenshots or GRAY_SCREENSHOTS, else to the test's
// artefacts; those in docs/dashboard are made by
//
//	go test ./e2e/browser -run TestPages -screenshots docs/dashboard
package browser
