// SPDX-License-Identifier: AGPL-3.0-or-later
// Orthanc Explorer's pages are jQuery Mobile's: a page is made once, and shown anew for each study.

function cbmirButtons(address) {
  var levels = [
    { name: 'study', path: '../studies/', uid: 'StudyInstanceUID' },
    { name: 'series', path: '../series/', uid: 'SeriesInstanceUID' },
    { name: 'instance', path: '../instances/', uid: 'SOPInstanceUID' }
  ];

  $.each(levels, function (index, level) {
    var button = $('<a target="_blank" rel="noopener" data-role="button" data-icon="search" data-theme="e">')
      .attr('id', 'cbmir-' + level.name)
      .text('Similar images');

    $(document).on('pagebeforecreate', '#' + level.name, function () {
      button.insertBefore('#' + level.name + '-access');
    });

    // The address must be known before the click: a tab that is opened later, by a script, would be blocked.
    $(document).on('pagebeforeshow', '#' + level.name, function () {
      var uuid = $.mobile.pageData && $.mobile.pageData.uuid;
      button.removeAttr('href');
      $.getJSON(level.path + encodeURIComponent(uuid), function (resource) {
        var uid = resource.MainDicomTags[level.uid];
        if ($.mobile.pageData.uuid === uuid) {
          button.attr('href', address + '/similar?' + level.name + '=' + encodeURIComponent(uid));
        }
      });
    });
  });
}
